"""Book transactions: once for each key, in one chain, together with the limit of the gateway's budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opencode_cloud.billing.models.accounts import (
    OF_WORKSPACE,
    LedgerAccount,
    account_id,
    available,
    ends_of,
    new_account,
    spendable_in_all,
)
from opencode_cloud.billing.models.errors import key_reused
from opencode_cloud.billing.models.transactions import LedgerTransaction, TransactionDraft
from opencode_cloud.billing.service import chain, double_entry, drafts
from opencode_cloud.billing.service.double_entry import Accounts
from opencode_cloud.contracts.ids import LedgerAccountId, WorkspaceId
from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit.clock import utc_now

if TYPE_CHECKING:
    from opencode_cloud.billing.store.ledger import LedgerStore
    from opencode_cloud.budgets.service.balance import Balance, BalanceBudget
    from opencode_cloud.outbox.service import Outbox, UnitOfWork

Watch = Callable[["UnitOfWork", Mapping[WorkspaceId, int]], None]
"""Gets the available balances that a unit has changed, in the unit."""
AUTHOR = "ledger"
"""The name under which the ledger sets the limit of a balance."""


@dataclass
class LockedBooks:
    """The locked accounts of some workspaces, and the transactions that open their books."""

    accounts: Accounts
    balances: Mapping[WorkspaceId, BalanceBudget]
    """The balances in the gateway's budgets, as they were; workspaces without one are missing."""
    opening: list[TransactionDraft] = field(default_factory=list[TransactionDraft])

    def of(self, workspace_id: WorkspaceId) -> list[LedgerAccount]:
        """Return the accounts of a workspace, those of credit with an end included."""
        return [account for account in self.accounts.values() if account.workspace_id == workspace_id]


class Booking:
    """Books drafts. All that one call books is committed together, or nothing of it."""

    def __init__(
        self, outbox: Outbox, store: LedgerStore, balance: Balance, watch: Watch = lambda _unit, _available: None
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._balance = balance
        self._watch = watch

    def unit(self) -> AbstractContextManager[UnitOfWork]:
        """Return a context manager that yields a unit of work of the outbox."""
        return self._outbox.unit()

    def lock(
        self, unit: UnitOfWork, workspace_ids: Iterable[WorkspaceId], events: Sequence[SettledEvent] = ()
    ) -> LockedBooks:
        """Lock the accounts of workspaces. The first use of an account opens its books with what was granted and used.

        ``events`` are those that this unit has added to the sums of counters, and will book itself.
        """
        wanted = sorted(set(workspace_ids))
        accounts = self._store.lock(
            unit.connection, [account_id(each, kind) for each in wanted for kind in OF_WORKSPACE]
        )
        if wanted:
            # They change only while the accounts above are locked.
            accounts |= self._store.ending(unit.connection, wanted)
        # Read under the lock, so that a concurrent change of a limit is seen here.
        locked = LockedBooks(accounts, self._balance.balances(unit.connection, wanted))
        for workspace_id, balance in sorted(locked.balances.items()):
            if not any(account.version for account in locked.of(workspace_id)):
                locked.opening += self._opening(unit, workspace_id, balance, events)
        return locked

    def _opening(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, balance: BalanceBudget, events: Sequence[SettledEvent]
    ) -> list[TransactionDraft]:
        own = sum(each.event.charged for each in events if balance.counter in each.counters)
        used, now = self._store.charged_before(unit.connection, balance.counter) - own, utc_now()
        opening = [drafts.opening(workspace_id, balance.limit, now)] if balance.limit else []
        return opening + ([drafts.opening_usage(workspace_id, used, now)] if used else [])

    def is_booked(self, unit: UnitOfWork, draft: TransactionDraft) -> bool:
        """Tell whether the kind and key of a draft were booked, with any terms."""
        return bool(self._store.known(unit.connection, [draft]))

    def book(
        self, unit: UnitOfWork, locked: LockedBooks, wanted: Sequence[TransactionDraft]
    ) -> list[LedgerTransaction]:
        """Book drafts, and set the limits of balances that they change. Return their transactions in order.

        A draft whose kind and key are known is not booked again: its transaction is returned.

        Raises:
            idempotency_key_reused: (409) A known key came with other terms. Nothing may be committed then.
        """
        connection, store = unit.connection, self._store
        every = [*locked.opening, *wanted]
        house = {leg.account_id for each in every for leg in each.legs} - set(locked.accounts)
        if missing := house - store.existing(connection, house):
            store.make(connection, missing)
            _add_ending(locked, missing)
        head = store.lock_head(connection)
        known = store.known(connection, every)
        for each in every:
            earlier = known.get((each.kind, each.key))
            if earlier is not None and earlier.terms != chain.terms_of(each):
                raise key_reused(each.kind, each.key)
        now, booked = utc_now(), list[LedgerTransaction]()
        for each in every:
            if (each.kind, each.key) in known:
                continue
            entries = double_entry.apply(locked.accounts, each)
            head, transaction = chain.append(head, each, entries, now)
            known[each.kind, each.key] = transaction
            booked.append(transaction)
        locked.opening.clear()
        if booked:
            changed = {entry.account_id for each in booked for entry in each.entries} & set(locked.accounts)
            store.write(connection, booked, [locked.accounts[each] for each in sorted(changed)], head)
            workspace_ids = {locked.accounts[each].workspace_id for each in changed}
            self._limit(unit, locked, workspace_ids)
            self._watch(unit, {each: available(locked.of(each), now) for each in workspace_ids})
        return [known[each.kind, each.key] for each in wanted]

    def _limit(self, unit: UnitOfWork, locked: LockedBooks, workspace_ids: Iterable[WorkspaceId]) -> None:
        for workspace_id in sorted(workspace_ids):
            accounts = locked.of(workspace_id)
            limit, ends = spendable_in_all(accounts), ends_of(accounts)
            balance = locked.balances.get(workspace_id)
            if balance is None or (balance.limit, balance.ends) != (limit, ends):
                self._balance.set_limit(unit, workspace_id, limit, ends, AUTHOR)


def _add_ending(locked: LockedBooks, made: Iterable[LedgerAccountId]) -> None:
    """Add the accounts that were made for credit with an end to the locked ones."""
    owners = {account.workspace_id for account in locked.accounts.values()}
    for account in map(new_account, made):
        if account.ends_at is not None and account.workspace_id in owners:
            locked.accounts[account.id] = account
