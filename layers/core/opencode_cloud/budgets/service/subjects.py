"""Update budgets when other features remove a subject of budgets or replace a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opencode_cloud.kit.clock import utc_now

if TYPE_CHECKING:
    from opencode_cloud.budgets.store.budgets import BudgetStore
    from opencode_cloud.outbox.service import UnitOfWork


class BudgetSubjects:
    """Keeps budgets in step with members, groups, service accounts and keys."""

    def __init__(self, store: BudgetStore) -> None:
        self._store = store

    def forget(self, unit: UnitOfWork, subjects: Sequence[str]) -> None:
        """Delete the budgets of removed members, groups, service accounts or keys, in the transaction of ``unit``."""
        if subjects:
            self._store.forget(unit.connection, subjects, utc_now())

    def hand_over(self, unit: UnitOfWork, old: str, new: str) -> None:
        """Move the budgets of key ``old`` to key ``new``, its replacement. Both share them until ``old`` expires."""
        self._store.hand_over(unit.connection, old, new)
