"""Months close, statements stay, the books are compared, and checkpoints seal them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, text

from clients.ledger_verifier import verify_ledger
from opencode_cloud.billing.models.documents import Statement
from opencode_cloud.billing.models.transactions import TransactionDraft
from opencode_cloud.billing.service import chain, checking, closing, drafts
from opencode_cloud.billing.service.checking import BookReconciliation
from opencode_cloud.billing.service.checkpoints import Checkpoints, sums_of
from opencode_cloud.billing.service.closing import MonthClose
from opencode_cloud.billing.service.exporting import LedgerExport, write_export
from opencode_cloud.billing.sheets import as_csv
from opencode_cloud.billing.store import checks
from opencode_cloud.billing.store.checkpoints import CheckpointStore
from opencode_cloud.billing.store.checks import BookChecks
from opencode_cloud.billing.store.closing import ClosingStore
from opencode_cloud.billing.store.reading import LedgerReader
from opencode_cloud.contracts.ids import PaymentId, WorkspaceId
from opencode_cloud.kit.errors import Conflict, Unavailable
from opencode_cloud.kit.housekeeping import ItemsFailed
from tests.metrics import written_metrics
from tests.unit.billing.books import CENT, DOLLAR, Books
from tests.unit.billing.test_payments import TWENTY, Till
from tests.unit.usage.events import OTHER, WORKSPACE

OCTOBER, NOVEMBER = datetime(2026, 10, 20), datetime(2026, 11, 20)  # noqa: DTZ001 - UTC without a zone
STRAY = "'house/revenue/USD', 5, 'posted', NULL, NULL"
KEY = rsa.generate_private_key(65537, 2048)


def ms(moment: datetime) -> int:
    return chain.microseconds(moment) // 1000


def pay(number: int, at: datetime) -> TransactionDraft:
    return drafts.top_up(WORKSPACE, PaymentId(f"pi_{number}"), TWENTY, at)


@dataclass
class Office:
    """The services of months and checks, with a clock that tests set."""

    books: Books
    set_clock: Callable[[datetime], None]

    def __post_init__(self) -> None:
        database = self.books.database
        self.reader = LedgerReader(database, self.books.store)
        self.closing = ClosingStore()
        self.months = MonthClose(database, self.books.store, self.closing)
        self.reconciliation = BookReconciliation(BookChecks(database), self.reader)
        self.checkpoints = Checkpoints(
            database, self.books.store, self.reader, CheckpointStore(), self.sign, "arn:aws:kms:key"
        )

    def sign(self, message: bytes) -> bytes:
        return KEY.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def statement(self, period: str) -> Any:
        with self.books.database.transaction() as connection:
            return self.closing.statement(connection, WORKSPACE, period)

    def found(self) -> set[str]:
        return {finding.check for finding in self.reconciliation.findings()}

    def execute(self, statement: str) -> None:
        with self.books.database.transaction() as connection:
            connection.execute(text(statement))

    def exported(self, folder: Path) -> Path:
        export = LedgerExport(self.books.database, self.reader, CheckpointStore())
        write_export(folder, export.page(0), export.page)
        (folder / "public.pem").write_bytes(
            KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        return folder


@pytest.fixture
def office(books: Books, monkeypatch: pytest.MonkeyPatch) -> Office:
    def set_clock(now: datetime) -> None:
        for module in (closing, checking, checks):
            monkeypatch.setattr(module, "utc_now", lambda: now)
        monkeypatch.setattr("opencode_cloud.billing.service.booking.utc_now", lambda: now)
        monkeypatch.setattr("opencode_cloud.billing.service.checkpoints.utc_now", lambda: now)

    set_clock(NOVEMBER)
    return Office(books, set_clock)


class TestMonths:
    def test_a_month_closes_on_day_3_and_its_statement_adds_up(self, office: Office) -> None:
        books = office.books
        office.set_clock(OCTOBER)
        books.book(pay(1, OCTOBER), drafts.grant(WORKSPACE, DOLLAR, "g", OCTOBER))
        books.take(books.use(1, 3 * DOLLAR, at=ms(OCTOBER)), books.use(2, CENT // 2, at=ms(OCTOBER), model="gpt"))
        office.set_clock(datetime(2026, 11, 2, 23, 59, 59))  # noqa: DTZ001
        assert office.months.run() == 0
        with pytest.raises(Conflict):
            office.months.close("2026-10")
        office.set_clock(datetime(2026, 11, 3))  # noqa: DTZ001
        assert office.months.run() == 1
        assert office.months.run() == 0
        statement = office.statement("2026-10")
        assert (statement.opening, statement.closing) == (0, books.available())
        assert statement.closing == statement.opening + sum(line.amount for line in statement.totals)
        assert [(line.model, line.amount, line.cents) for line in statement.usage] == [
            ("claude-sonnet", 3 * DOLLAR, 300),
            ("gpt", CENT // 2, 1),
        ]
        assert statement.usage_cents == 301
        assert b"2026-10,usage,claude-sonnet," in as_csv(statement)
        assert [each.kind for each in statement.movements] == ["top_up", "grant"]

    def test_late_usage_is_booked_into_the_open_month_and_old_statements_stay(self, office: Office) -> None:
        books = office.books
        last = datetime(2026, 10, 31, 23, 59, 59, 999_000)  # noqa: DTZ001
        office.set_clock(datetime(2026, 11, 1, 0, 2))  # noqa: DTZ001
        books.book(pay(1, OCTOBER))
        books.take(books.use(1, DOLLAR, at=ms(last)), books.use(2, DOLLAR, at=ms(last) + 1))
        assert [each.period for each in books.transactions()] == ["2026-10", "2026-10", "2026-11"]
        office.set_clock(datetime(2026, 11, 3))  # noqa: DTZ001
        office.months.run()
        october = office.statement("2026-10")
        assert [(line.amount, line.calls) for line in october.usage] == [(DOLLAR, 1)]
        books.take(books.use(3, 2 * DOLLAR, at=ms(last)))
        assert books.transactions()[-1].period == "2026-11"
        assert books.transactions()[-1].event_at == last
        office.set_clock(datetime(2026, 12, 3))  # noqa: DTZ001
        office.months.run()
        november = office.statement("2026-11")
        assert office.statement("2026-10") == october
        assert [(late.period, late.amount) for late in november.late_usage] == [("2026-10", 2 * DOLLAR)]
        assert [(line.amount, line.calls) for line in november.usage] == [(DOLLAR, 1)]
        assert (november.opening, november.closing) == (october.closing, books.available())

    def test_a_workspace_whose_statement_fails_holds_up_no_other(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for workspace_id in (WORKSPACE, OTHER):
            office.books.book(drafts.grant(workspace_id, DOLLAR, "g", OCTOBER))
        office.set_clock(datetime(2026, 11, 3))  # noqa: DTZ001
        first, second = sorted([WORKSPACE, OTHER])
        whole = MonthClose.statement

        def statement(months: MonthClose, connection: Connection, workspace_id: WorkspaceId, period: str) -> Statement:
            if workspace_id == first:
                raise Unavailable("slow", "The statement took too long.")
            return whole(months, connection, workspace_id, period)

        with monkeypatch.context() as broken:
            broken.setattr(MonthClose, "statement", statement)
            with pytest.raises(ItemsFailed, match=f"the first of them {first}"):
                office.months.run()
        with office.books.database.transaction() as connection:
            assert office.closing.without_statement(connection, "2026-10", 10) == [first]
            assert office.closing.statement(connection, second, "2026-10") is not None
        assert office.months.run() == 1

    def test_months_close_in_order_and_those_without_bookings_too(self, office: Office) -> None:
        office.books.book(pay(1, datetime(2026, 8, 1)))  # noqa: DTZ001
        with pytest.raises(Conflict):
            office.months.close("2026-11")
        office.months.run()
        with office.books.database.transaction() as connection:
            assert office.closing.closed(connection) == ["2026-08", "2026-09", "2026-10"]

    def test_each_month_that_closes_at_once_has_its_statement_and_none_is_from_before_the_first_booking(
        self, office: Office
    ) -> None:
        """The job may have been away for months, and a workspace may begin later than another one."""
        office.books.book(pay(1, datetime(2026, 8, 1)))  # noqa: DTZ001
        office.books.book(drafts.grant(OTHER, DOLLAR, "g", NOVEMBER))
        assert office.months.run() == 3
        months = ("2026-07", "2026-08", "2026-09", "2026-10")
        found = [office.statement(month) for month in months]
        assert [each and (each.opening, each.closing) for each in found] == [
            None,
            (0, 20 * DOLLAR),
            (20 * DOLLAR, 20 * DOLLAR),
            (20 * DOLLAR, 20 * DOLLAR),
        ]
        with office.books.database.transaction() as connection:
            assert office.closing.statements(connection, OTHER) == []

    def test_a_model_whose_name_begins_like_a_formula_is_a_text_in_the_sheet(self, office: Office) -> None:
        office.set_clock(OCTOBER)
        office.books.take(office.books.use(1, CENT, at=ms(OCTOBER), model="@cf/meta/llama"))
        office.set_clock(NOVEMBER)
        office.months.run()
        assert b"2026-10,usage,'@cf/meta/llama," in as_csv(office.statement("2026-10"))

    def test_a_statement_shows_what_is_frozen(self, office: Office) -> None:
        till = Till(office.books)
        office.books.book(pay(9, OCTOBER))
        with office.books.booking.unit() as unit:
            till.payments.top_up(unit, WORKSPACE, PaymentId("pi_1"), TWENTY, OCTOBER)
            till.payments.refund(unit, PaymentId("pi_1"), "re_1", 2123 * CENT, OCTOBER)
        office.months.run()
        statement = office.statement("2026-10")
        assert (statement.closing, statement.frozen) == (40 * DOLLAR, 20 * DOLLAR)


class TestChecks:
    """Each planted fault is found by its own check. Append-only rows cannot be changed, so faults are added."""

    @pytest.fixture(autouse=True)
    def _booked(self, office: Office) -> None:
        till = Till(office.books)
        office.books.book(drafts.grant(WORKSPACE, DOLLAR, "g", NOVEMBER))
        till.paid()
        office.books.take(office.books.use(1, CENT), office.books.use(2, CENT, OTHER))
        till("refund", PaymentId("pi_1"), "re_1", 100 * CENT)
        till("refund", PaymentId("pi_1"), "re_2", 100 * CENT)
        till("refund_succeeded", "re_2")

    def test_books_that_are_right_have_no_findings(self, office: Office) -> None:
        assert office.reconciliation.run() == 0

    @pytest.mark.parametrize(
        ("fault", "check"),
        [
            ("INSERT INTO ledger_entries VALUES (1, 9, 'house/revenue/USD', 5, 'posted', NULL, NULL)", "entries_sum"),
            (
                "INSERT INTO ledger_entries VALUES (99, 0, 'house/revenue/USD', 5, 'posted', NULL, NULL)",
                "entries_missing",
            ),
            ("UPDATE ledger_accounts SET posted = posted + 1 WHERE kind = 'balance'", "account_sums"),
            ("UPDATE ledger_accounts SET credited = credited - 1 WHERE kind = 'promo'", "account_sums"),
            ("UPDATE ledger_accounts SET version = version + 1 WHERE kind = 'promo'", "account_versions"),
            ("UPDATE ledger_holds SET credit = credit + 1 WHERE state = 'pending'", "pending_sums"),
            ("UPDATE ledger_holds SET state = 'voided' WHERE state = 'pending'", "holds_ended"),
            (
                "INSERT INTO ledger_postings SELECT 'call_x', id, workspace_id, event_at, 1 FROM ledger_transactions "
                "WHERE kind = 'usage'",
                "posting_sums",
            ),
            ("INSERT INTO ledger_closes VALUES ('2030-01', 1, '2026-11-20')", "closed_months"),
            ("UPDATE budgets SET amount = amount + 1 WHERE scope = 'balance'", "limits"),
        ],
    )
    def test_a_planted_fault_is_found(self, office: Office, fault: str, check: str) -> None:
        office.execute(fault)
        assert check in office.found()
        with written_metrics() as metrics:
            found = office.reconciliation.run()
        assert found > 0
        assert metrics["LedgerDrift"] == [found]

    def test_money_that_stripe_never_cleared_is_found_after_two_days(self, office: Office) -> None:
        assert "clearing" not in office.found()
        office.set_clock(NOVEMBER + timedelta(days=3))
        assert "clearing" in office.found()

    def test_usage_that_was_not_charged_is_found(self, office: Office) -> None:
        office.books.ingest._settlement = None
        later = NOVEMBER + timedelta(days=2)
        office.books.take(office.books.use(3, DOLLAR, at=ms(later)))
        office.set_clock(later + timedelta(days=2))
        (finding,) = [each for each in office.reconciliation.findings() if each.check == "usage_of_days"]
        assert (finding.expected, finding.found) == ({"charged": DOLLAR}, {"charged": 0})
        assert finding.subject == "2026-11-22"

    def test_a_row_that_differs_from_its_hashed_bytes_is_found(self, office: Office) -> None:
        office.execute(
            "INSERT INTO ledger_transactions SELECT seq + 1, 'ltx_x', kind, 'x', cause_kind, cause_id, corrects, "
            "workspace_id, event_at, booked_at, period, terms, body, hash, UNHEX(SHA2('x', 256)) "
            "FROM ledger_transactions ORDER BY seq DESC LIMIT 1"
        )
        broken = {each.subject.split()[1] for each in office.reconciliation.verify()}
        assert {"hash", "id", "key", "seq"} <= broken

    def test_the_trial_balance_is_zero(self, office: Office) -> None:
        lines = office.reader.trial_balance()
        assert sum(line.posted for line in lines) == sum(line.pending for line in lines) == 0
        assert {line.kind: line.posted for line in lines}["revenue"] == -2 * CENT


class TestSeals:
    @pytest.fixture(autouse=True)
    def _booked(self, office: Office) -> None:
        for number in range(12):
            office.books.book(pay(number, NOVEMBER))
            office.books.take(office.books.use(number, CENT))
            if number in {5, 9}:
                office.checkpoints.make()

    def verify(self, folder: Path) -> list[str]:
        return verify_ledger.verify(folder, folder / "public.pem")

    def broken(self, folder: Path) -> str:
        with pytest.raises(verify_ledger.Broken) as caught:
            self.verify(folder)
        return str(caught.value)

    def lines(self, folder: Path, name: str = "transactions") -> list[str]:
        return (folder / f"{name}.ndjson").read_text().splitlines(keepends=True)

    def write(self, folder: Path, lines: list[str], name: str = "transactions") -> None:
        (folder / f"{name}.ndjson").write_text("".join(lines))

    def test_a_checkpoint_states_the_sums_of_the_trial_balance(self, office: Office) -> None:
        office.checkpoints.make()
        assert office.checkpoints.make() == 0
        with office.books.database.transaction() as connection:
            last = CheckpointStore().last(connection)
        assert last is not None
        found = {f"{line.kind}/{line.currency}/posted": line.posted for line in office.reader.trial_balance()}
        assert sums_of(last.text) == found

    def test_an_export_is_verified_offline(self, office: Office, tmp_path: Path) -> None:
        report = self.verify(office.exported(tmp_path))
        assert report[0] == "24 transactions, 12 charged events, 2 checkpoints: all in order"
        assert report[1] == "the last 4 transactions are not yet sealed"
        assert report[-1].split() == ["sum", "0"]

    def test_the_program_runs_by_itself(self, office: Office, tmp_path: Path) -> None:
        folder = office.exported(tmp_path)
        program = [str(Path(verify_ledger.__file__)), str(folder), "--key", str(folder / "public.pem")]
        assert subprocess.run(["python3", "-I", *program], check=False, capture_output=True).returncode == 0
        self.write(folder, self.lines(folder)[:-5])
        found = subprocess.run(["python3", "-I", *program], check=False, capture_output=True)
        assert found.returncode == 1
        assert b"BROKEN" in found.stderr

    def test_four_ways_to_cut_are_four_refusals(self, office: Office, tmp_path: Path) -> None:
        folder = office.exported(tmp_path)
        whole = self.lines(folder)
        cuts = {
            "without the newest": whole[:-5],
            "without the oldest": whole[5:],
            "without one": whole[:10] + whole[11:],
            "swapped": [*whole[:10], whole[11], whole[10], *whole[12:]],
        }
        refusals = {}
        for name, cut in cuts.items():
            self.write(folder, cut)
            refusals[name] = self.broken(folder)
        assert refusals == {
            "without the newest": "the export ends with transaction 19, before the checkpoint at 20: it was cut",
            "without the oldest": "the export begins with transaction 6: the oldest 5 are missing",
            "without one": "transaction 11 is missing: 12 follows 10",
            "swapped": "transaction 11 is out of order or repeated",
        }

    def test_a_changed_amount_is_refused_even_with_new_hashes(self, office: Office, tmp_path: Path) -> None:
        folder = office.exported(tmp_path)
        whole = self.lines(folder)
        self.write(folder, [whole[0].replace("2000000000", "3000000000"), *whole[1:]])
        assert "was changed" in self.broken(folder)

    def test_another_event_or_amount_is_refused(self, office: Office, tmp_path: Path) -> None:
        folder = office.exported(tmp_path)
        events = self.lines(folder, "postings")
        self.write(folder, [events[0].replace(f",{CENT}]", f",{CENT + 1}]"), *events[1:]], "postings")
        assert "not those that were booked" in self.broken(folder)
        self.write(folder, [*events, events[0]], "postings")
        assert "charged twice" in self.broken(folder)

    def test_a_checkpoint_of_another_key_is_refused(self, office: Office, tmp_path: Path) -> None:
        folder = office.exported(tmp_path)
        other = rsa.generate_private_key(65537, 2048).public_key()
        (folder / "public.pem").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        assert "invalid signature" in self.broken(folder)

    def test_accounting_gets_a_journal_that_balances(self, office: Office, tmp_path: Path) -> None:
        folder = office.exported(tmp_path)
        journal = (folder / "journal.beancount").read_text()
        assert '2026-11-20 * "top_up" "payment:pi_0"' in journal
        assert "  Assets:StripeClearing  21.23000000 USD" in journal
        assert "open Liabilities:Balance:Wrk-01k" in journal
        lines = (folder / "entries.csv").read_text().splitlines()
        assert lines[0].endswith("amount_microcents,amount")
        assert sum(int(line.split(",")[-2]) for line in lines[1:]) == 0

    def test_a_key_of_an_operator_writes_no_line_of_the_journal(self, office: Office, tmp_path: Path) -> None:
        key = 'a"\n2026-11-20 * "free" \\'
        office.books.book(drafts.grant(WORKSPACE, DOLLAR, key, NOVEMBER))
        journal = (office.exported(tmp_path) / "journal.beancount").read_text()
        assert '"operator:a\\" 2026-11-20 * \\"free\\" \\\\" ^ltx_' in journal

    def test_transactions_long_without_a_seal_are_refused(self, office: Office, tmp_path: Path) -> None:
        office.set_clock(NOVEMBER + timedelta(days=3))
        office.books.book(pay(99, NOVEMBER))
        assert "under no checkpoint" in self.broken(office.exported(tmp_path))
