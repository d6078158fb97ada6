"""Operators' commands for usage, a part of ``functions/operate``."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.errors import BadRequest

if TYPE_CHECKING:
    from opencode_cloud.usage.service import Reconciliation


class UsageCommand(msgspec.Struct, tag="usage"):
    """Ingest a day's events again, or compare a workspace's day in SQL with the settled events."""

    action: Literal["replay", "reconcile"]
    day: date
    """A day in UTC."""
    workspace_id: WorkspaceId | None = None
    """None: all workspaces, which is allowed only for a replay."""
    after: tuple[str, str] | None = None
    """The position at which the previous replay stopped."""


def execute_usage_command(command: UsageCommand, reconciliation: Reconciliation) -> dict[str, Any]:
    """Execute a command; return its result for the operator. An unfinished replay returns where to continue.

    Raises ``invalid_command`` (400), and the errors of reconciliation.
    """
    if command.action == "reconcile":
        if command.workspace_id is None:
            raise BadRequest("invalid_command", "Give the id of the workspace to reconcile.")
        return {"drifts": reconciliation.check_day(command.workspace_id, datetime.combine(command.day, time()))}
    done = reconciliation.replay(command.day.isoformat(), command.workspace_id, command.after)
    return {"events": done.events, "new": done.new, "after": done.after}
