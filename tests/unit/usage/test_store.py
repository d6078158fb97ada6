"""Events in DynamoDB, counters for reconciliation, files and messages of exports."""

from __future__ import annotations

import urllib.parse
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from opencode_cloud.contracts.ids import ExportId
from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import DAY_SECONDS
from opencode_cloud.kit.dynamodb.batch import KEYS_AT_ONCE
from opencode_cloud.schema.usage_events import KEPT_DAYS, partition, to_row
from opencode_cloud.usage.models import CounterValues, Export, ExportFile, ExportRequest, UsageExportFormat
from opencode_cloud.usage.store import exports
from opencode_cloud.usage.store.exports import ADDRESS_SECONDS, ExportFiles, ExportQueue
from opencode_cloud.usage.store.table import CounterTable, UsageTable
from tests.unit.aws import Cloud, by_boto3
from tests.unit.usage.events import DAY, NOON, OTHER, WORKSPACE, call, event

DAY_OF_NOON = "2025-11-25"
EXPORT = Export(
    id=ExportId("exp_1"),
    workspace_id=WORKSPACE,
    since=datetime(2025, 11, 25, tzinfo=UTC),
    until=datetime(2025, 11, 26, tzinfo=UTC),
    format=UsageExportFormat.CSV,
    files=(ExportFile(name="usage 1.csv", events=1, bytes=5),),
    created_by="mem_1",
    created_at=datetime(2025, 11, 26, tzinfo=UTC),
)


def put(entry: SettledEvent) -> None:
    aws.dynamodb().put_item(TableName="usage", Item=to_row(entry.event, entry.counters))


def read(after: str | None = None) -> list[SettledEvent]:
    return [entry for page in UsageTable("usage").day(WORKSPACE, DAY_OF_NOON, after) for entry in page]


@pytest.fixture(autouse=True)
def account(cloud: Cloud) -> Cloud:
    cloud.table("usage")
    cloud.table("budgets")
    return cloud


class TestEvents:
    @pytest.mark.parametrize(
        "entry",
        [
            SettledEvent(event=event(1), counters=()),
            SettledEvent(event=event(1, metadata={"client": "opencode ☀"}), counters=("budget#a", "budget#b")),
        ],
        ids=["plain", "with metadata and counters"],
    )
    def test_an_event_is_read_as_settled(self, entry: SettledEvent) -> None:
        put(entry)
        assert read() == [entry]

    def test_a_day_is_the_workspaces_own_in_order_of_ids(self) -> None:
        for each in (event(3), event(1), event(2, at=NOON + DAY), event(4, workspace_id=OTHER)):
            put(SettledEvent(event=each, counters=()))
        assert [entry.event.id for entry in read()] == [call(1), call(3)]
        assert [entry.event.id for entry in read(after=call(1))] == [call(3)]

    def test_a_day_comes_whole_over_pages(self) -> None:
        for number in range(4):
            put(SettledEvent(event=event(number, metadata={"client": "x" * 300_000}), counters=()))
        assert [entry.event.id for entry in read()] == [call(number) for number in range(4)]

    def test_a_row_that_is_no_event_does_not_hide_the_others(self) -> None:
        put(SettledEvent(event=event(1), counters=()))
        key = {"pk": {"S": partition(WORKSPACE, DAY_OF_NOON)}, "sk": {"S": call(2)}}
        aws.dynamodb().put_item(TableName="usage", Item={**key, "event": {"S": "{"}})
        put(SettledEvent(event=event(3), counters=()))
        assert [entry.event.id for entry in read()] == [call(1), call(3)]

    def test_metadata_goes_and_the_event_stays(self) -> None:
        put(SettledEvent(event=event(1, metadata={"client": "opencode"}), counters=("budget#a",)))
        places = [(WORKSPACE, DAY_OF_NOON, call(1)), (WORKSPACE, DAY_OF_NOON, call(2))]
        for _ in range(2):
            UsageTable("usage").remove_metadata(places)
        assert read() == [SettledEvent(event=event(1), counters=("budget#a",))], (
            "an event that was not there is not made"
        )

    def test_an_event_is_kept_for_its_days(self, account: Cloud) -> None:
        put(SettledEvent(event=event(1), counters=()))
        [row] = account.rows("usage")
        assert int(row["ttl"]["N"]) == NOON // 1000 + KEPT_DAYS * DAY_SECONDS


class TestCounters:
    def test_counters_are_read_by_key(self) -> None:
        row = {"pk": {"S": "a"}, "sk": {"S": "COUNTER"}, "scope": {"S": "key"}, "unit": {"S": "cost"}}
        taken = {"spent": {"N": "7"}, "reserved": {"N": "2"}, "resets_at": {"N": "9"}}
        for each in ({**row, **taken}, {**row, "pk": {"S": "b"}}):
            aws.dynamodb().put_item(TableName="budgets", Item=each)
        assert CounterTable("budgets").get(["a", "b", "c"]) == {
            "a": CounterValues(scope="key", unit="cost", spent=7, reserved=2, resets_at=9),
            "b": CounterValues(scope="key", unit="cost", spent=0, reserved=0, resets_at=None),
        }

    def test_more_than_a_batch_takes_are_read(self) -> None:
        keys = [f"budget#{number}" for number in range(KEYS_AT_ONCE + 1)]
        for key in keys:
            row = {"pk": {"S": key}, "sk": {"S": "COUNTER"}, "scope": {"S": "key"}, "unit": {"S": "cost"}}
            aws.dynamodb().put_item(TableName="budgets", Item=row)
        assert CounterTable("budgets").get(keys).keys() == set(keys)


class TestExports:
    def test_a_file_is_stored_in_its_exports_folder_and_has_an_address_for_a_while(
        self, account: Cloud, tmp_path: Path
    ) -> None:
        files = ExportFiles(account.bucket("exports"))
        (tmp_path / "made").write_bytes(b"a,b,c")
        files.put(EXPORT, "usage 1.csv", tmp_path / "made")
        stored = by_boto3("s3").get_object(Bucket="exports", Key=f"usage/{WORKSPACE}/exp_1/usage 1.csv")
        assert stored["Body"].read() == b"a,b,c"
        [(file, address)] = files.addresses(EXPORT)
        parts = urllib.parse.urlsplit(address)
        assert file == EXPORT.files[0]
        assert urllib.parse.unquote(parts.path).endswith(f"usage/{WORKSPACE}/exp_1/usage 1.csv")
        assert urllib.parse.parse_qs(parts.query)["X-Amz-Expires"] == [str(ADDRESS_SECONDS)]

    @pytest.mark.parametrize(("delay", "received"), [(0, 1), (600, 0)])
    def test_a_message_names_the_export_and_comes_after_its_commit(
        self, account: Cloud, monkeypatch: pytest.MonkeyPatch, delay: int, received: int
    ) -> None:
        monkeypatch.setattr(exports, "COMMIT_SECONDS", delay)
        request = ExportRequest(export_id=ExportId("exp_1"), sent_at=1_800_000_000)
        url = account.queue("export")
        ExportQueue(url).send(request)
        found = [msgspec.json.decode(message["Body"], type=ExportRequest) for message in account.messages(url)]
        assert found == [request] * received
