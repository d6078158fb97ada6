"""What other features say of those whom budgets bound: that they are gone, or that a key has a successor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opencode_cloud.kit.clock import utc_now

if TYPE_CHECKING:
    from opencode_cloud.budgets.store.budgets import BudgetStore
    from opencode_cloud.outbox.service import Unit


class BudgetSubjects:
    """Keeps budgets in step with members, service accounts and keys."""

    def __init__(self, store: BudgetStore) -> None:
        self._store = store

    def forget(self, unit: Unit, subjects: Sequence[str]) -> None:
        """Delete the budgets of members, service accounts or keys that are gone, in ``unit``."""
        if subjects:
            self._store.forget(unit.connection, subjects, utc_now())

    def hand_over(self, unit: Unit, old: str, new: str) -> None:
        """Let the budgets of key ``old`` bound key ``new``, which replaces it; until ``old`` ends they share them."""
        self._store.hand_over(unit.connection, old, new)
