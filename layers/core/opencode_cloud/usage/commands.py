"""What operators can do with usage: a part of ``functions/operate``."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.errors import BadRequest

if TYPE_CHECKING:
    from opencode_cloud.usage.service import Reconciliation


class UsageCommand(msgspec.Struct, tag="usage"):
    """Take a day's events into the books again, or hold the books of a workspace's day against what was settled."""

    action: Literal["replay", "reconcile"]
    day: date
    """UTC."""
    workspace_id: WorkspaceId | None = None
    """None: all; only for a replay."""
    after: tuple[str, str] | None = None
    """Where the replay before this one ended."""


def carry_out(command: UsageCommand, reconciliation: Reconciliation) -> dict[str, Any]:
    """Carry out a command, and return what the operator is shown; a replay that is not done says where to go on.

    Raises ``invalid_command`` (400), and what reconciliation raises.
    """
    if command.action == "reconcile":
        if command.workspace_id is None:
            raise BadRequest("invalid_command", "Name the workspace whose day is to be reconciled.")
        return {"drifts": reconciliation.check_day(command.workspace_id, datetime.combine(command.day, time()))}
    done = reconciliation.replay(command.day.isoformat(), command.workspace_id, command.after)
    return {"events": done.events, "new": done.new, "after": done.after}
