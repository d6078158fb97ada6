"""Books over the real database: booking, settlement of usage, and what auditors read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.billing.models.accounts import AccountKind, account_id, available, house
from opencode_cloud.billing.models.transactions import LedgerTransaction, TransactionDraft
from opencode_cloud.billing.service import chain
from opencode_cloud.billing.service.booking import Booking
from opencode_cloud.billing.service.settling import UsageSettlement
from opencode_cloud.billing.store.ledger import LedgerStore, transaction_of
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.sql import Database
from opencode_cloud.payments.service.reload_trigger import ReloadTrigger
from opencode_cloud.payments.store.auto_reloads import AutoReloadStore
from opencode_cloud.schema.billing import ledger_accounts, ledger_entries, ledger_postings, ledger_transactions
from opencode_cloud.schema.budgets import budgets
from opencode_cloud.schema.workspaces import workspaces
from opencode_cloud.usage.service import Ingest
from opencode_cloud.usage.store.ledger import Ledger
from tests.unit.usage.events import OTHER, WORKSPACE, event
from tests.unit.workspaces.team import Place

DOLLAR = 100_000_000
CENT = 1_000_000
AT = datetime(2026, 11, 29, 12)  # noqa: DTZ001 - UTC without a zone


@dataclass
class Books:
    """The ledger of two workspaces."""

    place: Place

    def __post_init__(self) -> None:
        self.audit = AuditTrail(AuditStore())
        self.store = LedgerStore()
        self.balance = Balance(self.database, self.place.outbox, self.audit, BudgetStore())
        watch = ReloadTrigger(AutoReloadStore()).watch
        self.booking = Booking(self.place.outbox, self.store, self.balance, watch)
        self.settlement = UsageSettlement(self.booking, self.store)
        self.ingest = Ingest(Ledger(self.database), self.settlement)
        self.found(WORKSPACE, OTHER)

    @property
    def database(self) -> Database:
        return self.place.database

    def found(self, *workspace_ids: WorkspaceId) -> None:
        now = utc_now()
        with self.database.transaction() as connection:
            for each in workspace_ids:
                row = {"id": each, "name": "Acme", "created_at": now, "updated_at": now}
                connection.execute(workspaces.insert(), row)

    def book(self, *drafts: TransactionDraft) -> list[LedgerTransaction]:
        with self.booking.unit() as unit:
            locked = self.booking.lock(unit, {each.workspace_id for each in drafts if each.workspace_id})
            return self.booking.book(unit, locked, drafts)

    def use(self, number: int, charged: int, workspace_id: WorkspaceId = WORKSPACE, **changes: Any) -> SettledEvent:
        """Return the event of a call, as the gateway settles it on the balance's counter."""
        with self.database.transaction() as connection:
            balance = self.balance.balances(connection, [workspace_id]).get(workspace_id)
        usual: dict[str, Any] = {"cost": charged, "charged": charged, "at": int(AT.timestamp() * 1000)}
        own = event(number, workspace_id=workspace_id, **{**usual, **changes})
        return SettledEvent(event=own, counters=(balance.counter,) if balance else ())

    def take(self, *events: SettledEvent) -> int:
        return self.ingest.take(events)

    # --------------------------------------------------------------------------------- reading

    def rows(self, query: Any) -> Sequence[Any]:
        with self.database.transaction() as connection:
            return list(connection.execute(query).mappings())

    def transactions(self) -> list[LedgerTransaction]:
        found = self.rows(select(ledger_transactions).order_by(ledger_transactions.c.seq))
        return [transaction_of(row) for row in found]

    def available(self, workspace_id: WorkspaceId = WORKSPACE, at: datetime | None = None) -> int:
        with self.booking.unit() as unit:
            return available(self.booking.lock(unit, [workspace_id]).of(workspace_id), at or utc_now())

    def limit(self, workspace_id: WorkspaceId = WORKSPACE) -> int | None:
        """Return the limit that the gateway is told; None without a balance."""
        found = self.rows(
            select(budgets.c.amount).where(budgets.c.workspace_id == workspace_id, budgets.c.scope == "balance")
        )
        return found[0]["amount"] if found else None

    def sums(self) -> dict[str, int]:
        """Return the posted sum of each account, counted from the entries."""
        sums: defaultdict[str, int] = defaultdict(int)
        for row in self.rows(select(ledger_entries).where(ledger_entries.c.layer == "posted")):
            sums[row["account_id"]] += row["amount"]
        return dict(sums)

    def sum(self, kind: AccountKind, workspace_id: WorkspaceId | None = None) -> int:
        account = account_id(workspace_id, kind) if workspace_id else house(kind)
        return self.sums().get(account, 0)

    def verify(self) -> None:
        """Check every promise of the books that can be read from their rows."""
        transactions = self.transactions()
        entries = self.rows(select(ledger_entries).order_by(ledger_entries.c.seq, ledger_entries.c.n))
        assert [each.seq for each in transactions] == list(range(1, len(transactions) + 1))
        for before, after in pairwise(transactions):
            assert after.prev == before.hash
        assert all(chain.link(each.prev, each.body) == each.hash for each in transactions)
        keys = [(each.kind, each.idempotency_key) for each in transactions]
        assert len(keys) == len(set(keys))
        by_seq: defaultdict[tuple[int, str], int] = defaultdict(int)
        for row in entries:
            by_seq[row["seq"], row["layer"]] += row["amount"]
        assert not any(by_seq.values())
        self._verify_accounts(entries)

    def _verify_accounts(self, entries: Sequence[Any]) -> None:
        kinds = {each.seq: each.kind for each in self.transactions()}
        for account in self.rows(select(ledger_accounts).where(ledger_accounts.c.workspace_id != "")):
            own = [row for row in entries if row["account_id"] == account["id"]]
            posted = [row for row in own if row["layer"] == "posted"]
            pending = [row for row in own if row["layer"] == "pending"]
            assert account["posted"] == sum(row["amount"] for row in posted)
            assert account["pending"] == sum(row["amount"] for row in pending)
            assert account["version"] == len(own)
            assert [row["account_version"] for row in own] == list(range(1, len(own) + 1))
            for rows in (posted, pending):
                assert not rows or rows[-1]["balance_after"] == sum(row["amount"] for row in rows)
            credited = [row["amount"] for row in posted if kinds[row["seq"]] not in {"usage", "opening_usage"}]
            assert account["credited"] == sum(credited)

    def entries(self) -> Sequence[Any]:
        return self.rows(select(ledger_entries).order_by(ledger_entries.c.seq, ledger_entries.c.n))

    def postings(self) -> dict[str, int]:
        return {row["event_id"]: row["amount"] for row in self.rows(select(ledger_postings))}


@pytest.fixture
def books(place: Place) -> Books:
    return Books(place)
