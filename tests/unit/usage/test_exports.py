"""Exports: the events of a period in files, each event in exactly one file, despite interruptions."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.ids import ExportId
from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.usage.deliveries import ExportDeliveries
from opencode_cloud.usage.models import Export, ExportFile, ExportPeriod, ExportRequest, ExportState, UsageExportFormat
from opencode_cloud.usage.service import ExportService, ExportWriter, Ingest
from opencode_cloud.usage.service.exporting import MOST_UNFINISHED, NIGHTLY, last_period
from opencode_cloud.usage.store import parquet
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.usage.store.exports import ExportFiles, ExportQueue, ExportStore
from opencode_cloud.usage.store.ledger import Ledger
from tests.unit.usage.events import NOON, OTHER, call, event
from tests.unit.workspaces.team import Place

FIRST, LAST = datetime(2025, 11, 25), datetime(2025, 11, 26)  # noqa: DTZ001 - UTC without a zone, as in SQL


class Folder(ExportFiles):
    """A folder in place of the bucket."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, export: Export, name: str, content: Path) -> None:
        target = self.root / export.folder() / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(content, target)

    def addresses(self, export: Export) -> Iterator[tuple[ExportFile, str]]:
        return ((file, str(self.root / export.folder() / file.name)) for file in export.files)


class Inbox(ExportQueue):
    """A list in place of the queue."""

    def __init__(self) -> None:
        self.sent: list[ExportRequest] = []

    def send(self, request: ExportRequest) -> None:
        self.sent.append(request)


class Office:
    """A workspace with seven calls, exported with three calls per file."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self.files, self.inbox = place, Folder(folder), Inbox()
        owner = place.person("ann@example.com")
        self.workspace = place.founded(owner).id
        self.ann: Actor = place.member(owner, self.workspace)
        self.store, self.archive = ExportStore(place.database), EventArchive(place.database)
        self.exports = ExportService(place.outbox, AuditTrail(AuditStore()), self.store, self.inbox, self.files)
        self.ingest = Ingest(Ledger(place.database))
        self.ingest.take(
            [
                SettledEvent(
                    event=msgspec.structs.replace(
                        event(number, cost=10**8 + number, at=NOON + number // 2, error="=1+1"),
                        workspace_id=self.workspace,
                        member_id=self.ann.id,
                    )
                )
                for number in range(7)
            ]
        )
        self.ingest.take([SettledEvent(event=event(99, workspace_id=OTHER))])

    def exporting(self, events_a_file: int = 3) -> ExportWriter:
        return ExportWriter(
            self.place.outbox,
            self.store,
            self.inbox,
            self.archive,
            self.files,
            parquet.convert,
            events_a_file=events_a_file,
        )

    def create(self, form: UsageExportFormat = UsageExportFormat.CSV, until: datetime = LAST) -> Export:
        return self.exports.create(self.ann, self.workspace, FIRST, until, form)

    def content(self, export: Export) -> list[Path]:
        _, files = self.exports.fetch(self.ann, self.workspace, export.id)
        return [Path(address) for _, address in files]


@pytest.fixture
def office(place: Place, tmp_path: Path) -> Office:
    return Office(place, tmp_path)


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text())))


def test_every_event_of_the_period_is_in_one_file(office: Office) -> None:
    export = office.create()
    assert office.content(export) == [], "not before it is done"
    assert office.exporting().resume(office.inbox.sent[0])
    files = office.content(export)
    assert [len(rows(file)) for file in files] == [3, 3, 1]
    found = [row for file in files for row in rows(file)]
    assert [row["id"] for row in found] == [call(number) for number in range(7)]
    assert (found[1]["cost_microcents"], found[1]["cost_usd"]) == ("100000001", "1.00000001")
    assert {row["member"] for row in found} == {"ann@example.com"}
    assert {row["error"] for row in found} == {"'=1+1"}, "a spreadsheet must not take it for a formula"
    done = office.exports.get(office.workspace, export.id)
    assert (done.state, [file.events for file in done.files]) == (ExportState.DONE, [3, 3, 1])


def test_parquet_has_the_types_of_what_it_holds(office: Office) -> None:
    export = office.create(UsageExportFormat.PARQUET)
    office.exporting(100).resume(office.inbox.sent[0])
    (file,) = office.content(export)
    found: Any = duckdb.read_parquet(str(file))
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    assert (types["at"], types["cost_microcents"], types["cost_usd"], types["streamed"]) == (
        "TIMESTAMP",
        "BIGINT",
        "DECIMAL(20,8)",
        "BOOLEAN",
    )
    sums = found.aggregate('count(*), sum(cost_microcents), sum(cost_usd), max("at"), max(error)')
    last = datetime(2025, 11, 25, 12, 0, 0, 3000)  # noqa: DTZ001 - UTC without a zone
    assert sums.fetchall() == [(7, 7 * 10**8 + 21, Decimal("7.00000021"), last, "=1+1")]


@pytest.mark.parametrize("form", UsageExportFormat)
def test_an_export_of_a_period_without_calls_is_one_empty_file(office: Office, form: UsageExportFormat) -> None:
    export = office.exports.create(office.ann, office.workspace, FIRST, FIRST + timedelta(hours=1), form)
    office.exporting().resume(office.inbox.sent[0])
    (file,) = office.exports.get(office.workspace, export.id).files
    assert file.events == 0
    assert office.content(export)[0].exists()


def test_an_export_that_was_interrupted_goes_on_where_it_was(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    export = office.create()
    put, puts = office.files.put, 0

    def failing(export: Export, name: str, content: Path) -> None:
        nonlocal puts
        puts += 1
        if puts == 2:
            raise OSError("the bucket is away")
        put(export, name, content)

    monkeypatch.setattr(office.files, "put", failing)
    message = {"messageId": "m", "receiptHandle": "r", "body": msgspec.json.encode(office.inbox.sent[0]).decode()}
    batch = {"Records": [{**message, "attributes": {"ApproximateReceiveCount": "1"}}]}
    deliveries = ExportDeliveries(office.exporting())
    assert deliveries.handle(batch) == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert deliveries.handle(batch) == {"batchItemFailures": []}
    found = [row["id"] for file in office.content(export) for row in rows(file)]
    assert found == [call(number) for number in range(7)]
    assert puts == 4


def test_a_message_that_comes_twice_writes_nothing_twice(office: Office) -> None:
    export = office.create()
    for _ in range(2):
        assert office.exporting().resume(office.inbox.sent[0])
    assert [file.events for file in office.exports.get(office.workspace, export.id).files] == [3, 3, 1]


def test_an_export_that_fails_again_and_again_is_given_up(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    export = office.create()
    monkeypatch.setattr(office.files, "put", lambda *_: 1 / 0)
    message = {"messageId": "m", "receiptHandle": "r", "body": msgspec.json.encode(office.inbox.sent[0]).decode()}
    batch = {"Records": [{**message, "attributes": {"ApproximateReceiveCount": "4"}}]}
    assert ExportDeliveries(office.exporting()).handle(batch) == {"batchItemFailures": []}
    assert office.exports.get(office.workspace, export.id).state is ExportState.FAILED


def test_a_message_may_come_before_its_export_is_committed(office: Office) -> None:
    exporting = office.exporting()
    assert not exporting.resume(ExportRequest(export_id=ExportId("exp_none"), sent_at=now_seconds()))
    assert exporting.resume(ExportRequest(export_id=ExportId("exp_none"), sent_at=now_seconds() - 61)), (
        "it was rolled back"
    )


def test_an_export_is_of_one_workspace_and_on_record(office: Office) -> None:
    export = office.create()
    office.exporting().resume(office.inbox.sent[0])
    office.content(export)
    with pytest.raises(ServiceError) as refused:
        office.exports.get(OTHER, export.id)
    assert refused.value.code == "export_not_found"
    assert office.place.actions()[-2:] == ["export.created", "export.fetched"]


def test_a_workspace_has_a_few_exports_under_way_at_most(office: Office) -> None:
    for _ in range(MOST_UNFINISHED):
        office.create()
    with pytest.raises(ServiceError) as refused:
        office.create()
    assert refused.value.code == "too_many_exports"


def test_an_export_ends_now_at_the_latest(office: Office) -> None:
    with pytest.raises(ServiceError) as refused:
        office.exports.create(office.ann, office.workspace, utc_now() + timedelta(days=1), LAST, UsageExportFormat.CSV)
    assert refused.value.code == "invalid_period"
    future = utc_now() + timedelta(days=300)
    made = office.exports.create(
        office.ann, office.workspace, utc_now() - timedelta(days=9), future, UsageExportFormat.CSV
    )
    assert made.until <= utc_now()


class TestSchedule:
    def test_an_export_is_made_once_when_its_day_is_over(self, office: Office) -> None:
        office.exports.put_schedule(office.ann, office.workspace, ExportPeriod.DAILY, UsageExportFormat.CSV)
        exporting = office.exporting()
        night = datetime(2025, 11, 26, 2, 41)  # noqa: DTZ001
        assert [exporting.make_scheduled(night) for _ in range(3)] == [1, 0, 0]
        exporting.resume(office.inbox.sent[0])
        (made,) = office.exports.of_workspace(office.workspace, None, 9)
        assert (made.period, made.state, made.since, made.until) == ("daily-2025-11-25", ExportState.DONE, FIRST, LAST)
        assert exporting.make_scheduled(night + timedelta(days=1)) == 1

    def test_what_was_left_behind_is_begun_again(self, office: Office) -> None:
        office.create()
        assert office.exporting().make_scheduled(utc_now() + timedelta(hours=2)) == 1
        assert len(office.inbox.sent) == 2

    def test_none_is_made_without_a_schedule(self, office: Office) -> None:
        office.exports.put_schedule(office.ann, office.workspace, ExportPeriod.WEEKLY, UsageExportFormat.PARQUET)
        office.exports.put_schedule(office.ann, office.workspace, ExportPeriod.MONTHLY, UsageExportFormat.CSV)
        assert office.exports.schedule(office.workspace).every is ExportPeriod.MONTHLY
        office.exports.delete_schedule(office.ann, office.workspace)
        assert office.exporting().make_scheduled(LAST) == 0
        with pytest.raises(ServiceError, match="No exports are scheduled"):
            office.exports.schedule(office.workspace)

    @pytest.mark.parametrize(
        ("every", "since", "until"),
        [
            (ExportPeriod.DAILY, "2026-02-28", "2026-03-01"),
            (ExportPeriod.WEEKLY, "2026-02-16", "2026-02-23"),
            (ExportPeriod.MONTHLY, "2026-02-01", "2026-03-01"),
        ],
    )
    def test_periods_are_of_the_calendar(self, every: ExportPeriod, since: str, until: str) -> None:
        found = last_period(every, datetime(2026, 3, 1, 2, 41))  # noqa: DTZ001
        assert found == (datetime.fromisoformat(since), datetime.fromisoformat(until))


@pytest.mark.parametrize("every", ExportPeriod)
def test_the_next_export_is_announced_exactly(office: Office, every: ExportPeriod) -> None:
    schedule = office.exports.put_schedule(office.ann, office.workspace, every, UsageExportFormat.CSV)
    exporting = office.exporting()
    for day in range(45):
        night = LAST + day * timedelta(days=1) + NIGHTLY
        announced = office.exports.following(schedule, night - timedelta(minutes=1))
        begun = exporting.make_scheduled(night)
        assert (begun == 1) == (announced.at == night)
        if begun:
            made = office.exports.of_workspace(office.workspace, None, 1)[0]
            assert (made.since, made.until) == (announced.since, announced.until)
            advance = {"state": ExportState.DONE, "finished_at": night}
            assert office.store.advance(made, advance)
        assert office.exports.following(schedule, night).at > night
