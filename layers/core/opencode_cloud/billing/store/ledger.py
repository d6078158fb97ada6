"""Lock accounts and write transactions in MySQL.

Order of locks, the same in every transaction, so that none waits in a circle: rows of usage, accounts of workspaces by
id, payments and holds, the head of the chain, the row of the balance's budget, the outbox. Accounts of the house are
never locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.billing.models.accounts import LedgerAccount, new_account
from opencode_cloud.billing.models.transactions import (
    LedgerEntry,
    LedgerHead,
    LedgerTransaction,
    TransactionDraft,
    TransactionKind,
)
from opencode_cloud.billing.service.chain import GENESIS
from opencode_cloud.billing.service.usage_charges import ChargeDraft
from opencode_cloud.contracts.ids import LedgerAccountId, LedgerTransactionId, WorkspaceId
from opencode_cloud.schema.billing import (
    ledger_accounts,
    ledger_entries,
    ledger_head,
    ledger_postings,
    ledger_transactions,
)
from opencode_cloud.schema.usage import usage_counters
from opencode_cloud.schema.workspaces import workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

COLUMNS = [ledger_transactions.c[name] for name in LedgerTransaction.__struct_fields__ if name != "entries"]
ENDING = "%.%/promo/%"
"""The SQL pattern of the ids of accounts whose credit ends."""
_HEAD = 1


class LedgerStore:
    """The tables of the ledger. Every method uses the transaction of its connection."""

    def lock(
        self, connection: Connection, account_ids: Iterable[LedgerAccountId]
    ) -> dict[LedgerAccountId, LedgerAccount]:
        """Lock accounts in the order of their ids, and return them with their sums. Missing ones are made."""
        wanted = sorted(set(account_ids))
        found = self._locked(connection, wanted)
        if missing := [account for account in wanted if account not in found]:
            self.make(connection, missing)
            found = self._locked(connection, wanted)
        return found

    def ending(
        self, connection: Connection, workspace_ids: Iterable[WorkspaceId]
    ) -> dict[LedgerAccountId, LedgerAccount]:
        """Return the accounts of workspaces' credit with an end. The caller holds the locks of the workspaces."""
        column = ledger_accounts.c
        query = select(ledger_accounts).where(column.workspace_id.in_(list(workspace_ids)), column.id.like(ENDING))
        return {each.id: each for each in accounts_of(connection.execute(query).mappings())}

    def make(self, connection: Connection, account_ids: Iterable[LedgerAccountId]) -> None:
        """Make accounts that do not exist."""
        rows = [
            {"id": each.id, "workspace_id": each.workspace_id, "kind": each.kind, "currency": each.currency}
            for each in map(new_account, sorted(account_ids))
        ]
        statement = insert(ledger_accounts)
        connection.execute(statement.on_duplicate_key_update(id=ledger_accounts.c.id), rows)

    def existing(self, connection: Connection, account_ids: Iterable[LedgerAccountId]) -> set[LedgerAccountId]:
        """Return those accounts that exist, without a lock."""
        query = select(ledger_accounts.c.id).where(ledger_accounts.c.id.in_(list(account_ids)))
        return {LedgerAccountId(each) for each in connection.execute(query).scalars()}

    def lock_head(self, connection: Connection) -> LedgerHead:
        """Lock the end of the chain until the transaction ends. It must be the last lock of accounts and payments."""
        row = connection.execute(_HEAD_QUERY).first()
        if row is None:
            first = {"id": _HEAD, "seq": 0, "hash": GENESIS.hash, "closed_through": ""}
            statement = insert(ledger_head).on_duplicate_key_update(id=ledger_head.c.id)
            connection.execute(statement, first)
            row = connection.execute(_HEAD_QUERY).one()
        return LedgerHead(row.seq, row.hash, row.closed_through)

    def known(
        self, connection: Connection, drafts: Sequence[TransactionDraft]
    ) -> dict[tuple[TransactionKind, str], LedgerTransaction]:
        """Return the transactions that have the kinds and keys of drafts, without their entries."""
        keys = [(each.kind, each.key) for each in drafts]
        column = ledger_transactions.c
        query = select(*COLUMNS).where(tuple_(column.kind, column.idempotency_key).in_(keys))
        rows = [transaction_of(row) for row in connection.execute(query).mappings()]
        return {(row.kind, row.idempotency_key): row for row in rows}

    def of_key(self, connection: Connection, kind: TransactionKind, key: str) -> LedgerTransaction | None:
        """Return the transaction of a kind and key with its entries; None if nothing was booked under it."""
        column = ledger_transactions.c
        query = select(column.id).where(column.kind == kind, column.idempotency_key == key)
        found = connection.execute(query).scalar()
        return None if found is None else self.transaction(connection, found)

    def write(
        self,
        connection: Connection,
        transactions: Sequence[LedgerTransaction],
        accounts: Sequence[LedgerAccount],
        head: LedgerHead,
    ) -> None:
        """Write transactions with their entries, the changed accounts, and the new head."""
        rows = [{column.name: getattr(each, column.name) for column in COLUMNS} for each in transactions]
        connection.execute(ledger_transactions.insert(), rows)
        entries = [
            {"seq": each.seq, **msgspec.structs.asdict(entry)} for each in transactions for entry in each.entries
        ]
        connection.execute(ledger_entries.insert(), entries)
        if accounts:
            # One statement for all of them. The rows exist and are locked, so it only updates.
            change = insert(ledger_accounts)
            change = change.on_duplicate_key_update({name: change.inserted[name] for name in _SUMS})
            connection.execute(change, [msgspec.structs.asdict(account) for account in accounts])
        self.move_head(connection, head)

    def move_head(self, connection: Connection, head: LedgerHead) -> None:
        """Write the head, which must be locked."""
        values = {"seq": head.seq, "hash": head.hash, "closed_through": head.closed_through}
        connection.execute(update(ledger_head).where(ledger_head.c.id == _HEAD).values(values))

    # ------------------------------------------------------------------------------------- usage

    def posted(self, connection: Connection, event_ids: Sequence[str]) -> dict[str, LedgerTransactionId]:
        """Return the transactions that charged events, by event."""
        if not event_ids:
            return {}
        column = ledger_postings.c
        query = select(column.event_id, column.transaction_id).where(column.event_id.in_(event_ids))
        return {row.event_id: LedgerTransactionId(row.transaction_id) for row in connection.execute(query)}

    def add_postings(self, connection: Connection, drafts: Sequence[ChargeDraft]) -> None:
        """Write which events the transactions charge. The accounts of their workspaces must be locked."""
        rows = [
            {
                "event_id": charge.event_id,
                "transaction_id": each.transaction.id,
                "workspace_id": charge.workspace_id,
                "at": charge.at,
                "amount": charge.amount,
            }
            for each in drafts
            for charge in each.charges
        ]
        rows.sort(key=lambda row: row["event_id"])
        connection.execute(ledger_postings.insert(), rows)

    def charged_before(self, connection: Connection, counter: str) -> int:
        """Return the sum of all events that usage has counted on the counter of a balance, in micro-cents."""
        query = select(func.coalesce(func.sum(usage_counters.c.charged), 0)).where(usage_counters.c.counter == counter)
        return int(connection.execute(query).scalar_one())

    # ------------------------------------------------------------------------------------- reading

    def workspace_exists(self, connection: Connection, workspace_id: WorkspaceId) -> bool:
        """Tell whether a workspace exists and was not deleted."""
        column = workspaces.c
        query = select(column.id).where(column.id == workspace_id, column.deleted_at.is_(None))
        return connection.execute(query).first() is not None

    def transaction(
        self, connection: Connection, transaction_id: LedgerTransactionId, workspace_id: WorkspaceId | None = None
    ) -> LedgerTransaction | None:
        """Return a transaction with its entries; None if it does not exist, or belongs to another workspace."""
        query = select(*COLUMNS).where(ledger_transactions.c.id == transaction_id)
        if workspace_id is not None:
            query = query.where(ledger_transactions.c.workspace_id == workspace_id)
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        transaction = transaction_of(row)
        return msgspec.structs.replace(
            transaction, entries=self.entries(connection, [transaction.seq]).get(transaction.seq, ())
        )

    def entries(self, connection: Connection, seqs: Sequence[int]) -> dict[int, tuple[LedgerEntry, ...]]:
        """Return the entries of transactions, by transaction."""
        query = select(ledger_entries).where(ledger_entries.c.seq.in_(seqs))
        found: dict[int, list[LedgerEntry]] = {}
        for row in connection.execute(query.order_by(ledger_entries.c.seq, ledger_entries.c.n)).mappings():
            values = {name: row[name] for name in LedgerEntry.__struct_fields__}
            found.setdefault(row["seq"], []).append(msgspec.convert(values, LedgerEntry))
        return {seq: tuple(entries) for seq, entries in found.items()}

    def _locked(
        self, connection: Connection, account_ids: Sequence[LedgerAccountId]
    ) -> dict[LedgerAccountId, LedgerAccount]:
        query = select(ledger_accounts).where(ledger_accounts.c.id.in_(account_ids)).order_by(ledger_accounts.c.id)
        rows = connection.execute(query.with_for_update()).mappings()
        return {each.id: each for each in accounts_of(rows)}


_HEAD_QUERY = select(ledger_head).where(ledger_head.c.id == _HEAD).with_for_update()
_SUMS = ("posted", "pending", "credited", "version")


def accounts_of(rows: Iterable[Mapping[Any, Any]]) -> list[LedgerAccount]:
    """Return the accounts of rows."""
    accounts = [{name: row[name] for name in LedgerAccount.__struct_fields__} for row in rows]
    return msgspec.convert(accounts, list[LedgerAccount])


def transaction_of(row: Mapping[Any, Any]) -> LedgerTransaction:
    """Return the transaction of a row, without its entries."""
    values = {name: row[name] for name in LedgerTransaction.__struct_fields__ if name != "entries"}
    return msgspec.convert(values, LedgerTransaction)
