"""Queries that compare the ledger with itself, with usage, and with the budgets of the gateway.

Each returns the rows that break one promise, at most ``MOST`` of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, or_, select

from opencode_cloud.billing.models.accounts import (
    OF_WORKSPACE,
    AccountKind,
    LedgerAccount,
    ends_of,
    has_ended,
    house,
    new_account,
)
from opencode_cloud.billing.models.findings import BookFinding
from opencode_cloud.billing.models.transactions import CHARGING_KINDS, USAGE_KINDS
from opencode_cloud.billing.store.ledger import ENDING, accounts_of
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.schema.billing import (
    ledger_accounts,
    ledger_closes,
    ledger_entries,
    ledger_holds,
    ledger_postings,
    ledger_transactions,
)
from opencode_cloud.schema.budgets import budgets
from opencode_cloud.schema.usage import reconciliations, usage_days

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database

MOST = 100
"""The most findings of one check. More of them are one fault, and a report must stay readable."""
CLEARING = (AccountKind.STRIPE_CLEARING, AccountKind.REFUNDS)
_transaction, _entry, _account = ledger_transactions.c, ledger_entries.c, ledger_accounts.c


class BookChecks:
    """The checks, by name. Each takes a connection and the time before which everything should have settled."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, days: int, quiet: datetime) -> Iterator[BookFinding]:
        """Yield all findings; ``days`` complete days before ``quiet`` are compared with usage."""
        checks: tuple[Callable[[Connection], Iterator[BookFinding]], ...] = (
            entries_sum,
            entries_missing,
            account_sums,
            account_versions,
            pending_sums,
            holds_ended,
            posting_sums,
            closed_months,
            limits,
            ends,
        )
        for check in checks:
            with self._database.transaction() as connection:
                yield from check(connection)
        with self._database.transaction() as connection:
            yield from clearing(connection, quiet - timedelta(days=2))
            yield from expiries(connection, quiet - timedelta(days=2))
            yield from usage_of_days(connection, quiet, days)

    def record(self, finding: BookFinding) -> None:
        """Insert a finding into the table of reconciliations."""
        row = {
            "id": new_id("rec"),
            "workspace_id": finding.workspace_id,
            "day": f"{utc_now():%Y-%m-%d}",
            "kind": f"ledger_{finding.check}",
            "subject": finding.subject,
            "expected": dict(finding.expected),
            "found": dict(finding.found),
            "repaired": False,
            "found_at": utc_now(),
        }
        with self._database.transaction() as connection:
            connection.execute(reconciliations.insert(), row)


def entries_sum(connection: Connection) -> Iterator[BookFinding]:
    """Entries sum to zero for each transaction, layer and currency."""
    currency = func.substring_index(_entry.account_id, "/", -1)
    total = func.sum(_entry.amount)
    query = select(_entry.seq, _entry.layer, total.label("total")).group_by(_entry.seq, _entry.layer, currency)
    for row in connection.execute(query.having(total != 0).limit(MOST)):
        yield BookFinding(
            check="entries_sum",
            subject=str(row.seq),
            expected={"sum": 0},
            found={"sum": int(row.total), "layer": row.layer},
        )


def entries_missing(connection: Connection) -> Iterator[BookFinding]:
    """A transaction has at least two entries, and an entry has a transaction."""
    entries = func.count(_entry.n)
    query = (
        select(_transaction.seq, entries.label("entries"))
        .outerjoin(ledger_entries, _entry.seq == _transaction.seq)
        .group_by(_transaction.seq)
        .having(entries < 2)
        .limit(MOST)
    )
    for row in connection.execute(query):
        yield BookFinding(
            check="entries_missing", subject=str(row.seq), expected={"entries": 2}, found={"entries": row.entries}
        )
    stray = select(_entry.seq).outerjoin(ledger_transactions, _entry.seq == _transaction.seq)
    for row in connection.execute(stray.where(_transaction.seq.is_(None)).limit(MOST)):
        yield BookFinding(
            check="entries_missing", subject=str(row.seq), expected={"transactions": 1}, found={"transactions": 0}
        )


def account_sums(connection: Connection) -> Iterator[BookFinding]:
    """An account's sums are those of its entries."""
    posted = func.coalesce(func.sum(case((_entry.layer == "posted", _entry.amount), else_=0)), 0)
    pending = func.coalesce(func.sum(case((_entry.layer == "pending", _entry.amount), else_=0)), 0)
    is_credit = and_(_entry.layer == "posted", _transaction.kind.not_in(USAGE_KINDS))
    credited = func.coalesce(func.sum(case((is_credit, _entry.amount), else_=0)), 0)
    names = ("posted", "pending", "credited")
    sums = (posted, pending, credited)
    query = (
        select(_account.id, _account.workspace_id, *(_account[name] for name in names))
        .add_columns(*(each.label(f"sum_{name}") for name, each in zip(names, sums, strict=True)))
        .outerjoin(ledger_entries, _entry.account_id == _account.id)
        .outerjoin(ledger_transactions, _transaction.seq == _entry.seq)
        .where(_account.workspace_id != "")
        # Every column, because MariaDB does not derive them from the key.
        .group_by(_account.id, _account.workspace_id, *(_account[name] for name in names))
        .having(or_(*(_account[name] != each for name, each in zip(names, sums, strict=True))))
        .limit(MOST)
    )
    for row in connection.execute(query).mappings():
        yield BookFinding(
            check="account_sums",
            workspace_id=row["workspace_id"],
            subject=row["id"],
            expected={name: int(row[f"sum_{name}"]) for name in names},
            found={name: int(row[name]) for name in names},
        )


def account_versions(connection: Connection) -> Iterator[BookFinding]:
    """An account's versions have no gaps, and each balance follows from the one before."""
    entries, last = func.count(_entry.n), func.coalesce(func.max(_entry.account_version), 0)
    query = (
        select(_account.id, _account.workspace_id, _account.version, entries.label("entries"), last.label("last"))
        .outerjoin(ledger_entries, _entry.account_id == _account.id)
        .where(_account.workspace_id != "")
        .group_by(_account.id, _account.workspace_id, _account.version)
        .having(or_(_account.version != entries, last != entries))
        .limit(MOST)
    )
    for row in connection.execute(query):
        yield BookFinding(
            check="account_versions",
            workspace_id=row.workspace_id,
            subject=row.id,
            expected={"version": row.entries, "last": row.entries},
            found={"version": row.version, "last": row.last},
        )
    yield from _balances_after(connection)


def _balances_after(connection: Connection) -> Iterator[BookFinding]:
    running = (
        func.sum(_entry.amount)
        .over(partition_by=(_entry.account_id, _entry.layer), order_by=_entry.account_version)
        .label("running")
    )
    each = select(_entry.seq, _entry.account_id, _entry.balance_after, running).where(
        _entry.account_version.is_not(None)
    )
    found = each.subquery()
    query = select(found).where(found.c.running != found.c.balance_after).limit(MOST)
    for row in connection.execute(query):
        yield BookFinding(
            check="account_versions",
            workspace_id=new_account(row.account_id).workspace_id,
            subject=row.account_id,
            expected={"balance_after": int(row.running)},
            found={"balance_after": row.balance_after, "seq": row.seq},
        )


def pending_sums(connection: Connection) -> Iterator[BookFinding]:
    """The frozen amount of a workspace is the sum of its pending holds."""
    held = (
        select(ledger_holds.c.workspace_id, func.sum(ledger_holds.c.credit).label("held"))
        .where(ledger_holds.c.state == "pending")
        .group_by(ledger_holds.c.workspace_id)
        .subquery()
    )
    total = func.coalesce(held.c.held, 0)
    query = (
        select(_account.workspace_id, _account.pending, total.label("held"))
        .outerjoin(held, held.c.workspace_id == _account.workspace_id)
        .where(_account.kind == AccountKind.BALANCE, _account.pending != total)
        .limit(MOST)
    )
    for row in connection.execute(query):
        yield BookFinding(
            check="pending_sums",
            workspace_id=row.workspace_id,
            expected={"pending": int(row.held)},
            found={"pending": row.pending},
        )


def holds_ended(connection: Connection) -> Iterator[BookFinding]:
    """A pending transfer that ended names the one transaction that ended it."""
    hold = ledger_holds.c
    by = (
        select(_transaction.corrects, func.count().label("endings"))
        .where(_transaction.kind.in_(("refund", "refund_failed", "dispute_won", "dispute_lost")))
        .group_by(_transaction.corrects)
        .subquery()
    )
    endings = func.coalesce(by.c.endings, 0)
    query = (
        select(hold.id, hold.workspace_id, hold.state, endings.label("endings"))
        .outerjoin(by, by.c.corrects == hold.transaction_id)
        .where(endings != case((hold.state == "pending", 0), else_=1))
        .limit(MOST)
    )
    for row in connection.execute(query):
        yield BookFinding(
            check="holds_ended",
            workspace_id=row.workspace_id,
            subject=row.id,
            expected={"endings": 0 if row.state == "pending" else 1},
            found={"endings": row.endings, "state": row.state},
        )


def posting_sums(connection: Connection) -> Iterator[BookFinding]:
    """The usage events of a transaction sum to its revenue, and every transaction of usage has events."""
    revenue = house(AccountKind.REVENUE)
    events = func.coalesce(
        select(func.sum(ledger_postings.c.amount))
        .where(ledger_postings.c.transaction_id == _transaction.id)
        .scalar_subquery(),
        0,
    )
    query = (
        select(_transaction.id, _transaction.workspace_id, _entry.amount, events.label("events"))
        .join(ledger_entries, _entry.seq == _transaction.seq)
        .where(
            _transaction.kind.in_(CHARGING_KINDS),
            _entry.account_id == revenue,
            events != -_entry.amount,
        )
        .limit(MOST)
    )
    for row in connection.execute(query):
        yield BookFinding(
            check="posting_sums",
            workspace_id=row.workspace_id,
            subject=row.id,
            expected={"charged": int(row.events)},
            found={"charged": -row.amount},
        )


def closed_months(connection: Connection) -> Iterator[BookFinding]:
    """Nothing is booked into a closed month."""
    close = ledger_closes.c
    query = (
        select(_transaction.seq, _transaction.workspace_id, _transaction.period)
        .join(ledger_closes, and_(close.period >= _transaction.period, close.seq < _transaction.seq))
        .limit(MOST)
    )
    for row in connection.execute(query):
        yield BookFinding(
            check="closed_months",
            workspace_id=row.workspace_id,
            subject=str(row.seq),
            expected={"period": "open"},
            found={"period": row.period},
        )


def limits(connection: Connection) -> Iterator[BookFinding]:
    """The limit of the gateway's budget is the credit without what is frozen."""
    frozen = func.greatest(_account.pending, 0)
    credit = func.greatest(-func.sum(_account.credited + frozen), 0)
    query = (
        select(budgets.c.workspace_id, budgets.c.amount, credit.label("credit"))
        .join(ledger_accounts, _account.workspace_id == budgets.c.workspace_id)
        .where(budgets.c.scope == "balance", _account.kind.in_(OF_WORKSPACE))
        .group_by(budgets.c.workspace_id, budgets.c.amount)
        .having(and_(func.sum(_account.version) > 0, budgets.c.amount != credit))
        .limit(MOST)
    )
    for row in connection.execute(query):
        yield BookFinding(
            check="limits",
            workspace_id=row.workspace_id,
            expected={"limit": int(row.credit)},
            found={"limit": row.amount},
        )


def ends(connection: Connection) -> Iterator[BookFinding]:
    """The parts of the gateway's limit that end are the unused credit with an end."""
    query = select(budgets.c.workspace_id, budgets.c.ends).where(budgets.c.scope == "balance")
    told = {
        row.workspace_id: {each["at"]: each["amount"] for each in row.ends}
        for row in connection.execute(query.where(budgets.c.ends.is_not(None)))
    }
    left: dict[str, dict[int, int]] = {}
    for each in _ending(connection):
        for end in ends_of([each]):
            left.setdefault(each.workspace_id, {})[end.at] = end.amount
    # A deleted workspace has no budget any more.
    kept = set(connection.execute(select(budgets.c.workspace_id).where(budgets.c.scope == "balance")).scalars())
    wrong = [each for each in sorted(told.keys() | left.keys() & kept) if told.get(each, {}) != left.get(each, {})]
    for workspace_id in wrong[:MOST]:
        yield BookFinding(
            check="ends",
            workspace_id=workspace_id,
            expected={str(at): amount for at, amount in left.get(workspace_id, {}).items()},
            found={str(at): amount for at, amount in told.get(workspace_id, {}).items()},
        )


def expiries(connection: Connection, before: datetime) -> Iterator[BookFinding]:
    """The expiry of credit is booked within two days of its end."""
    late = [each for each in _ending(connection) if has_ended(each, before)]
    for each in late[:MOST]:
        yield BookFinding(
            check="expiries",
            workspace_id=each.workspace_id,
            subject=each.id,
            expected={"left": 0},
            found={"left": each.left},
        )


def _ending(connection: Connection) -> list[LedgerAccount]:
    """Return the accounts of credit with an end that have some left."""
    query = select(ledger_accounts).where(_account.id.like(ENDING), _account.posted < 0).order_by(_account.id)
    return accounts_of(connection.execute(query).mappings())


def clearing(connection: Connection, before: datetime) -> Iterator[BookFinding]:
    """Stripe's own transaction clears each charge and refund within two days."""
    total = func.sum(_entry.amount)
    query = (
        select(_entry.account_id, _transaction.cause_id, total.label("total"))
        .join(ledger_transactions, _transaction.seq == _entry.seq)
        .where(_entry.account_id.in_([house(kind) for kind in CLEARING]), _entry.layer == "posted")
        .group_by(_entry.account_id, _transaction.cause_id)
        .having(and_(total != 0, func.max(_transaction.booked_at) < before))
        .limit(MOST)
    )
    for row in connection.execute(query):
        yield BookFinding(
            check="clearing",
            subject=row.cause_id,
            expected={"sum": 0},
            found={"sum": int(row.total), "account": row.account_id},
        )


def usage_of_days(connection: Connection, quiet: datetime, days: int) -> Iterator[BookFinding]:
    """The charged usage of a workspace's day is what the ledger has booked for it."""
    until = quiet.replace(hour=0, minute=0, second=0, microsecond=0)
    since = until - timedelta(days=days)
    first = {
        row.workspace_id: row.at
        for row in connection.execute(
            select(_transaction.workspace_id, func.min(_transaction.booked_at).label("at")).group_by(
                _transaction.workspace_id
            )
        )
    }
    if not first:
        return
    began = min(first.values())
    day = func.date(usage_days.c.start).label("day")
    used = (
        select(usage_days.c.workspace_id, day, func.sum(usage_days.c.charged).label("amount"))
        .where(usage_days.c.start >= since, usage_days.c.start < until)
        .group_by(usage_days.c.workspace_id, day)
    )
    booked_day = func.date(ledger_postings.c.at).label("day")
    booked = (
        select(ledger_postings.c.workspace_id, booked_day, func.sum(ledger_postings.c.amount).label("amount"))
        .where(ledger_postings.c.at >= since, ledger_postings.c.at < until)
        .group_by(ledger_postings.c.workspace_id, booked_day)
    )
    expected = {(row.workspace_id, row.day): int(row.amount) for row in connection.execute(used)}
    found = {(row.workspace_id, row.day): int(row.amount) for row in connection.execute(booked)}
    for place in sorted(expected.keys() | found.keys()):
        # The books of a workspace were opened on their first day, so that day is not complete.
        if expected.get(place, 0) == found.get(place, 0) or place[1] <= first.get(place[0], began).date():
            continue
        yield BookFinding(
            check="usage_of_days",
            workspace_id=place[0],
            subject=f"{place[1]:%Y-%m-%d}",
            expected={"charged": expected.get(place, 0)},
            found={"charged": found.get(place, 0)},
        )
