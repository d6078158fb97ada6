"""The number of budgets that a member may have by groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.budgets.models.documents import too_many_group_budgets

if TYPE_CHECKING:
    from opencode_cloud.budgets.store.budgets import BudgetStore
    from opencode_cloud.contracts.ids import GroupId
    from opencode_cloud.kit.sql import Connection

MOST_OF_GROUPS = 36
"""The most budgets of one member by all of their groups.

A call changes all of its counters in one transaction, which has room for 100 rows (docs/budgets.md).
"""


class GroupBudgets:
    """Keeps the number of budgets by groups within the room of a transaction."""

    def __init__(self, store: BudgetStore) -> None:
        self._store = store

    def check(self, connection: Connection, group_id: GroupId) -> None:
        """Raise ``too_many_group_budgets`` if a member of a group has too many budgets by all of their groups.

        The caller holds the workspace's lock, and has made its change.
        """
        if self._store.most_of_groups(connection, group_id) > MOST_OF_GROUPS:
            raise too_many_group_budgets(MOST_OF_GROUPS)
