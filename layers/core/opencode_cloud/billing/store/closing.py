"""Closed months and statements in MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select

from opencode_cloud.billing.models.documents import Statement, StatementSummary
from opencode_cloud.billing.models.transactions import CHARGING_KINDS, LedgerTransaction
from opencode_cloud.billing.store.ledger import COLUMNS, LedgerStore, transaction_of
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.schema.billing import (
    ledger_accounts,
    ledger_closes,
    ledger_entries,
    ledger_statements,
    ledger_transactions,
)
from opencode_cloud.schema.usage import usage_days

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_AT_ONCE = 500


class ClosingStore:
    """The tables ``ledger_closes`` and ``ledger_statements``, and the sums of a month."""

    def add_close(self, connection: Connection, period: str, seq: int, at: datetime) -> None:
        """Write that a month is closed. The head must be locked."""
        connection.execute(ledger_closes.insert(), {"period": period, "seq": seq, "closed_at": at})

    def closed(self, connection: Connection) -> list[str]:
        """Return the closed months, in order."""
        return list(connection.execute(select(ledger_closes.c.period).order_by(ledger_closes.c.period)).scalars())

    def first_period(self, connection: Connection) -> str | None:
        """Return the earliest month with a transaction; None for an empty ledger."""
        return connection.execute(select(func.min(ledger_transactions.c.period))).scalar()

    def without_statement(self, connection: Connection, period: str, limit: int) -> list[WorkspaceId]:
        """Return workspaces with a transaction of a month, or before it, that have no statement of the month."""
        there = select(ledger_statements.c.workspace_id).where(ledger_statements.c.period == period)
        account, transaction = ledger_accounts.c.workspace_id, ledger_transactions.c
        began = select(transaction.seq).where(transaction.workspace_id == account, transaction.period <= period)
        query = select(account).where(account != "", account.not_in(there), began.exists())
        query = query.distinct().order_by(account).limit(limit)
        return [WorkspaceId(each) for each in connection.execute(query).scalars()]

    def add_statement(self, connection: Connection, statement: Statement, at: datetime) -> None:
        """Write a statement, which must not exist."""
        row = {
            "workspace_id": statement.workspace_id,
            "period": statement.period,
            "document": statement.model_dump(mode="json"),
            "created_at": at,
        }
        connection.execute(ledger_statements.insert(), row)

    def statement(self, connection: Connection, workspace_id: WorkspaceId, period: str) -> Statement | None:
        """Return a statement; None if there is none."""
        column = ledger_statements.c
        query = select(column.document).where(column.workspace_id == workspace_id, column.period == period)
        document = connection.execute(query).scalar()
        return None if document is None else Statement.model_validate(document)

    def statements(self, connection: Connection, workspace_id: WorkspaceId) -> list[StatementSummary]:
        """Return the list of a workspace's statements, the newest first."""
        column = ledger_statements.c
        query = select(column.period, column.created_at).where(column.workspace_id == workspace_id)
        rows = connection.execute(query.order_by(column.period.desc()))
        return [StatementSummary.model_validate(row) for row in rows]

    def balance_before(self, connection: Connection, workspace_id: WorkspaceId, period: str) -> tuple[int, int]:
        """Return the posted credit of a workspace before a month, and the frozen amount."""
        column, transaction = ledger_entries.c, ledger_transactions.c
        query = (
            select(column.layer, func.sum(column.amount).label("amount"))
            .join(ledger_transactions, transaction.seq == column.seq)
            .where(
                transaction.workspace_id == workspace_id,
                transaction.period < period,
                # Only accounts of workspaces number their entries.
                column.account_version.is_not(None),
            )
            .group_by(column.layer)
        )
        sums = {row.layer: int(row.amount) for row in connection.execute(query)}
        return -sums.get("posted", 0), sums.get("pending", 0)

    def totals(self, connection: Connection, workspace_id: WorkspaceId, period: str) -> Sequence[Any]:
        """Return kind, month of the cause, layer, credit and number of the transactions of a month."""
        column, transaction = ledger_entries.c, ledger_transactions.c
        month = func.date_format(transaction.event_at, "%Y-%m").label("month")
        query = (
            select(
                transaction.kind,
                month,
                column.layer,
                func.sum(column.amount).label("amount"),
                func.count(transaction.seq.distinct()).label("transactions"),
            )
            .select_from(ledger_transactions)
            .join(ledger_entries, column.seq == transaction.seq)
            .where(
                transaction.workspace_id == workspace_id,
                transaction.period == period,
                column.account_version.is_not(None),
            )
            .group_by(transaction.kind, month, column.layer)
        )
        return connection.execute(query).all()

    def usage(self, connection: Connection, workspace_id: WorkspaceId, start: datetime, end: datetime) -> Sequence[Any]:
        """Return model, key, calls and charged amount of the calls that arrived in a month."""
        column = usage_days.c
        charged = func.sum(column.charged).label("charged")
        query = (
            select(column.model, column.key_id, func.sum(column.calls).label("calls"), charged)
            .where(column.workspace_id == workspace_id, column.start >= start, column.start < end)
            .group_by(column.model, column.key_id)
            .having(charged != 0)
            .order_by(charged.desc(), column.model, column.key_id)
        )
        return connection.execute(query).all()

    def movements(
        self, connection: Connection, store: LedgerStore, workspace_id: WorkspaceId, period: str
    ) -> list[LedgerTransaction]:
        """Return the transactions of a month that are not usage, with their entries."""
        column = ledger_transactions.c
        query = select(*COLUMNS).where(
            column.workspace_id == workspace_id, column.period == period, column.kind.not_in(CHARGING_KINDS)
        )
        found = [transaction_of(row) for row in connection.execute(query.order_by(column.seq)).mappings()]
        entries: dict[int, Any] = {}
        for start in range(0, len(found), _AT_ONCE):
            entries |= store.entries(connection, [each.seq for each in found[start : start + _AT_ONCE]])
        return [msgspec.structs.replace(each, entries=entries.get(each.seq, ())) for each in found]
