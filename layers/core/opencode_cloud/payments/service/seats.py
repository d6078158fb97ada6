"""The one rule of seats: members who may call models have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import GRANTS, Permission, Role

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.payments.store.plans import PlanStore

SEATED = tuple(role for role in Role if Permission.INFERENCE in GRANTS[role])
"""Roles that may call models. Members with other roles, and service accounts, need no seat."""
LEAST = 1


class Seats:
    """Counts seats."""

    def __init__(self, store: PlanStore) -> None:
        self._store = store

    def count(self, connection: Connection, workspace_id: WorkspaceId) -> int:
        """Return the seats of a workspace: its members who may call models and are not blocked; one at least.

        Invitations count when they are accepted.
        """
        return max(LEAST, self._store.members(connection, workspace_id, SEATED))
