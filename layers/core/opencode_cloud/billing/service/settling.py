"""Settle usage: charge each new event in the transaction that writes it (docs/decisions/032)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from opencode_cloud.billing.service.usage_charges import charges_of, usage_drafts
from opencode_cloud.contracts.usage import SettledEvent

if TYPE_CHECKING:
    from opencode_cloud.billing.service.booking import Booking
    from opencode_cloud.billing.store.ledger import LedgerStore
    from opencode_cloud.outbox.service import UnitOfWork


class UsageSettlement:
    """Charges events. The function ``ledger`` passes it every event that it writes to SQL for the first time."""

    def __init__(self, booking: Booking, store: LedgerStore) -> None:
        self._booking = booking
        self._store = store

    def unit(self) -> AbstractContextManager[UnitOfWork]:
        """Return a context manager that yields a unit of work."""
        return self._booking.unit()

    def settle(self, unit: UnitOfWork, events: Sequence[SettledEvent]) -> None:
        """Charge events to the balances of their workspaces; those that were charged before are left out."""
        workspace_ids = {each.event.workspace_id for each in events if each.event.charged}
        if not workspace_ids:
            return
        locked = self._booking.lock(unit, workspace_ids, events)
        charges = charges_of(events, {each: balance.counter for each, balance in locked.balances.items()})
        # Events may come again after retention has deleted their rows. Postings stay, so they are charged once.
        calls = [charge.call_id for charge in charges if charge.is_late]
        known = self._store.posted(unit.connection, [*(charge.event_id for charge in charges), *calls])
        fresh = [charge for charge in charges if charge.event_id not in known]
        drafts = usage_drafts(fresh, locked.accounts, known)
        if drafts:
            self._store.add_postings(unit.connection, drafts)
            self._booking.book(unit, locked, [each.transaction for each in drafts])
