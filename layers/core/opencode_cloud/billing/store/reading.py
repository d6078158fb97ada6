"""Read the ledger without locks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Select, func, select

from opencode_cloud.billing.models.accounts import LedgerAccount, has_ended, new_account
from opencode_cloud.billing.models.documents import ChargedCall, TrialBalanceLine
from opencode_cloud.billing.models.transactions import CHARGING_KINDS, LedgerTransaction
from opencode_cloud.billing.store.ledger import COLUMNS, ENDING, LedgerStore, accounts_of, transaction_of
from opencode_cloud.contracts.ids import LedgerTransactionId, WorkspaceId
from opencode_cloud.schema.billing import ledger_accounts, ledger_entries, ledger_postings, ledger_transactions

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database


class LedgerReader:
    """Balances, transactions and their calls."""

    def __init__(self, database: Database, store: LedgerStore) -> None:
        self._database = database
        self._store = store

    def accounts(self, workspace_id: WorkspaceId) -> list[LedgerAccount]:
        """Return the accounts of a workspace."""
        query = select(ledger_accounts).where(ledger_accounts.c.workspace_id == workspace_id)
        with self._database.transaction() as connection:
            return accounts_of(connection.execute(query).mappings())

    def with_ended_credit(self, before: datetime) -> list[WorkspaceId]:
        """Return workspaces that have credit left whose end was before a time, by id."""
        column = ledger_accounts.c
        query = select(column.id).where(column.id.like(ENDING), column.posted < 0)
        with self._database.transaction() as connection:
            found = [new_account(each) for each in connection.execute(query).scalars()]
        return sorted({account.workspace_id for account in found if has_ended(account, before)})

    def of_workspace(self, workspace_id: WorkspaceId, before: int | None, limit: int) -> list[LedgerTransaction]:
        """Return transactions of a workspace with their entries, the newest first."""
        column = ledger_transactions.c
        query = select(*COLUMNS).where(column.workspace_id == workspace_id)
        if before is not None:
            query = query.where(column.seq < before)
        return self._with_entries(query.order_by(column.seq.desc()).limit(limit))

    def after(self, seq: int, limit: int) -> list[LedgerTransaction]:
        """Return transactions of the whole ledger with their entries, in the order of the chain."""
        column = ledger_transactions.c
        return self._with_entries(select(*COLUMNS).where(column.seq > seq).order_by(column.seq).limit(limit))

    def get(self, workspace_id: WorkspaceId, transaction_id: LedgerTransactionId) -> LedgerTransaction | None:
        """Return a transaction of a workspace with its entries; None if there is none."""
        with self._database.transaction() as connection:
            return self._store.transaction(connection, transaction_id, workspace_id)

    def calls(self, transaction_id: LedgerTransactionId, after: str | None, limit: int) -> list[ChargedCall]:
        """Return the usage events that a transaction charges, by id."""
        column = ledger_postings.c
        query = select(column.event_id, column.at, column.amount).where(column.transaction_id == transaction_id)
        if after is not None:
            query = query.where(column.event_id > after)
        with self._database.transaction() as connection:
            rows = connection.execute(query.order_by(column.event_id).limit(limit))
            return [ChargedCall.model_validate(row) for row in rows]

    def used_since(self, workspace_id: WorkspaceId, since: datetime) -> int:
        """Return the sum of the usage that was booked since a time, in micro-cents."""
        column, transaction = ledger_entries.c, ledger_transactions.c
        query = (
            select(func.coalesce(func.sum(column.amount), 0))
            .select_from(ledger_transactions)
            .join(ledger_entries, column.seq == transaction.seq)
            .where(
                transaction.workspace_id == workspace_id,
                transaction.kind.in_(CHARGING_KINDS),
                transaction.booked_at >= since,
                # Only accounts of workspaces number their entries.
                column.account_version.is_not(None),
            )
        )
        with self._database.transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def postings(self, transaction_ids: Sequence[LedgerTransactionId]) -> list[tuple[str, str, int]]:
        """Return transaction, event and amount of all usage events that transactions charge."""
        column = ledger_postings.c
        query = select(column.transaction_id, column.event_id, column.amount)
        with self._database.transaction() as connection:
            rows = connection.execute(query.where(column.transaction_id.in_(transaction_ids)))
            return [(row.transaction_id, row.event_id, row.amount) for row in rows]

    def trial_balance(self, through: int | None = None, after: int = 0) -> list[TrialBalanceLine]:
        """Return the sums of entries by kind of account, of transactions ``after`` a number and ``through`` another."""
        with self._database.transaction() as connection:
            return trial_balance(connection, through, after)

    def _with_entries(self, query: Select[Any]) -> list[LedgerTransaction]:
        with self._database.transaction() as connection:
            found = [transaction_of(row) for row in connection.execute(query).mappings()]
            entries = self._store.entries(connection, [each.seq for each in found]) if found else {}
        return [msgspec.structs.replace(each, entries=entries.get(each.seq, ())) for each in found]


def trial_balance(connection: Connection, through: int | None, after: int = 0) -> list[TrialBalanceLine]:
    """Return the sums of entries by kind of account and currency."""
    column, account = ledger_entries.c, ledger_accounts.c
    query = (
        select(account.kind, account.currency, column.layer, func.sum(column.amount).label("amount"))
        .join(ledger_accounts, account.id == column.account_id)
        .where(column.seq > after)
        .group_by(account.kind, account.currency, column.layer)
    )
    if through is not None:
        query = query.where(column.seq <= through)
    sums: dict[tuple[str, str], dict[str, int]] = {}
    for row in connection.execute(query):
        sums.setdefault((row.kind, row.currency), {"posted": 0, "pending": 0})[row.layer] = int(row.amount)
    return [
        TrialBalanceLine(kind=kind, currency=currency, **layers) for (kind, currency), layers in sorted(sums.items())
    ]
