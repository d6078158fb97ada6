"""Show balances, transactions, their calls and statements to the people of a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opencode_cloud.billing.models.accounts import USD, AccountKind, available, has_ended, new_account
from opencode_cloud.billing.models.documents import (
    BalanceForecast,
    ChargedCall,
    EndingCredit,
    MoneyMovement,
    MovementDetail,
    MovementEntry,
    PrepaidBalance,
    Statement,
    StatementSummary,
)
from opencode_cloud.billing.models.errors import billing_off, statement_not_found, transaction_not_found
from opencode_cloud.billing.models.transactions import Layer, LedgerEntry, LedgerTransaction, TransactionKind
from opencode_cloud.contracts.ids import LedgerTransactionId, WorkspaceId
from opencode_cloud.kit.clock import DAY_SECONDS, utc_now

if TYPE_CHECKING:
    from opencode_cloud.billing.store.closing import ClosingStore
    from opencode_cloud.billing.store.reading import LedgerReader
    from opencode_cloud.kit.sql import Database

WEEK = timedelta(days=7)
_GRANTING = frozenset({TransactionKind.GRANT, TransactionKind.PLAN_CREDIT})


class BillingReader:
    """Reads for one workspace. Every method raises ``billing_off`` (404) on a deployment without billing."""

    def __init__(self, database: Database, ledger: LedgerReader, closing: ClosingStore, *, enabled: bool) -> None:
        self._database = database
        self._ledger = ledger
        self._closing = closing
        self._enabled = enabled

    def balance(self, workspace_id: WorkspaceId) -> PrepaidBalance:
        """Return the balance of a workspace; zero before its first transaction."""
        self._check()
        accounts, now = self._ledger.accounts(workspace_id), utc_now()
        left = available(accounts, now)
        paid = -sum(account.posted for account in accounts if account.kind is AccountKind.BALANCE)
        frozen = sum(max(0, account.pending) for account in accounts)
        ending = [account for account in accounts if account.left and not has_ended(account, now)]
        return PrepaidBalance(
            currency=USD,
            available=left,
            paid=paid,
            promo=left + frozen - paid,
            frozen=frozen,
            ends=sorted(
                (EndingCredit(ends_at=each.ends_at, amount=each.left) for each in ending if each.ends_at),
                key=lambda each: each.ends_at,
            ),
        )

    def forecast(self, workspace_id: WorkspaceId) -> BalanceForecast:
        """Return how long the balance lasts at the mean usage of the last week."""
        self._check()
        now = utc_now()
        a_day = self._ledger.used_since(workspace_id, now - WEEK) // WEEK.days
        days = days_left(self.balance(workspace_id), a_day, now) if a_day > 0 else None
        return BalanceForecast(a_day=a_day, days=days)

    def movements(self, workspace_id: WorkspaceId, before: int | None, limit: int) -> Sequence[LedgerTransaction]:
        """Return transactions, the newest first."""
        self._check()
        return self._ledger.of_workspace(workspace_id, before, limit)

    def movement(self, workspace_id: WorkspaceId, transaction_id: LedgerTransactionId) -> MovementDetail:
        """Return a transaction with its entries; raises ``transaction_not_found``."""
        self._check()
        found = self._ledger.get(workspace_id, transaction_id)
        if found is None:
            raise transaction_not_found()
        entries = [
            MovementEntry(
                account=each.account_id, amount=each.amount, layer=each.layer, balance_after=each.balance_after
            )
            for each in found.entries
        ]
        return MovementDetail(**dict(movement_of(found)), seq=found.seq, hash=found.hash.hex(), entries=entries)

    def calls(
        self, workspace_id: WorkspaceId, transaction_id: LedgerTransactionId, after: str | None, limit: int
    ) -> list[ChargedCall]:
        """Return the calls that a transaction charges, by id; raises ``transaction_not_found``."""
        self.movement(workspace_id, transaction_id)
        return self._ledger.calls(transaction_id, after, limit)

    def statements(self, workspace_id: WorkspaceId) -> list[StatementSummary]:
        """Return the list of closed months, the newest first."""
        self._check()
        with self._database.transaction() as connection:
            return self._closing.statements(connection, workspace_id)

    def statement(self, workspace_id: WorkspaceId, period: str) -> Statement:
        """Return the statement of a month; raises ``statement_not_found``."""
        self._check()
        with self._database.transaction() as connection:
            found = self._closing.statement(connection, workspace_id, period)
        if found is None:
            raise statement_not_found(period)
        return found

    def _check(self) -> None:
        if not self._enabled:
            raise billing_off()


def days_left(balance: PrepaidBalance, a_day: int, now: datetime) -> int:
    """Return the whole days until a balance is used up by ``a_day`` (positive) a day. Credit is lost at its end."""
    ending, used, left = balance.ends, 0, max(0, balance.available)
    for each in ending:
        # Until its end, usage draws on this credit after all that ends before it.
        could_use = a_day * int((each.ends_at - now).total_seconds()) // DAY_SECONDS - used
        taken = min(each.amount, max(0, could_use))
        used, left = used + taken, left - (each.amount - taken)
    return max(0, left) // a_day


def _end_of_grant(own: Sequence[LedgerEntry]) -> datetime | None:
    return new_account(own[0].account_id).ends_at if len(own) == 1 and own[0].amount < 0 else None


def movement_of(transaction: LedgerTransaction) -> MoneyMovement:
    """Return a transaction as it concerns its workspace."""
    # Only accounts of workspaces number their entries.
    own = [each for each in transaction.entries if each.account_version is not None]
    sums = {layer: sum(each.amount for each in own if each.layer is layer) for layer in Layer}
    return MoneyMovement(
        id=transaction.id,
        kind=transaction.kind,
        amount=-sums[Layer.POSTED],
        frozen=sums[Layer.PENDING],
        cause=f"{transaction.cause_kind}:{transaction.cause_id}",
        corrects=transaction.corrects or None,
        ends_at=_end_of_grant(own) if transaction.kind in _GRANTING else None,
        period=transaction.period,
        event_at=transaction.event_at,
        booked_at=transaction.booked_at,
    )
