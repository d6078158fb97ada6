"""Usage through the deployed stage: from the settlement of a call to the API's answers and files."""

from __future__ import annotations

import csv
import io
from typing import Any

import duckdb
import httpx
import pytest

from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.ids import new_id
from opencode_cloud.schema.usage_events import to_row
from tests.integration.people import People, Person
from tests.integration.world import must
from tests.pdf_text import text_of
from tests.waiting import PATIENCE, until


class Office:
    """A workspace with calls."""

    def __init__(self, stack: Any) -> None:
        self.stack, self.people = stack, People(stack)
        self.owner: Person = self.people.somebody()
        self.workspace = self.owner.found("Acme")
        self.member = self.get("members")["data"][0]["id"]

    def get(self, path: str, **query: Any) -> Any:
        return must(self.owner.http.get(f"/api/v1/workspaces/{self.workspace}/{path}", params=query))

    def settle(self, **changes: Any) -> UsageEvent:
        """Write an event as the settlement of a call does."""
        usual = {"id": new_id("call"), "at": now_ms(), "workspace_id": self.workspace, "member_id": self.member}
        event = UsageEvent(**usual | {"model": "claude-sonnet", "cost": 150_000_000, "charged": 150_000_000} | changes)
        table = self.stack.outputs["UsageTableName"]
        self.stack.client("dynamodb").put_item(TableName=table, Item=to_row(event))
        return event


@pytest.fixture(scope="module")
def office(stack: Any) -> Office:
    made = Office(stack)
    for number in range(3):
        made.settle(cost=10**8 + number, model=f"model-{number % 2}")
    until(lambda: made.get("usage/totals")["total"]["calls"] == 3)
    return made


def test_a_settled_call_is_in_the_books_within_a_minute(office: Office) -> None:
    answer = office.get("usage/totals", group_by="model")
    assert answer["total"]["cost"] == 3 * 10**8 + 3
    assert {each["group"]: each["usage"]["calls"] for each in answer["data"]} == {"model-0": 2, "model-1": 1}
    assert sum(each["usage"]["cost"] for each in office.get("usage/series")["data"]) == 3 * 10**8 + 3
    assert sum(call["cost"] for call in office.get("usage/events")["data"]) == 3 * 10**8 + 3


def test_the_page_shows_the_month_with_its_days_and_who_used_most(office: Office) -> None:
    page = office.owner.http.get(f"/console/{office.workspace}/usage").text
    assert "<b>$3.0000</b> Cost" in page
    assert page.count("<rect") == 2 * len({"model-0", "model-1"}), "a bar and a mark in the legend for each"
    assert office.owner.email in page
    earlier = office.owner.http.get(
        f"/console/{office.workspace}/usage", params={"from": "2026-01-01", "to": "2026-01-31"}
    ).text
    assert "No calls in this range." in earlier


def test_a_month_is_charged_on_as_a_pdf_file_that_a_browser_keeps(office: Office) -> None:
    address = f"/api/v1/workspaces/{office.workspace}/usage/chargeback.pdf"
    month = office.get("usage/events")["data"][0]["at"][:7]
    query = {"month": month, "by": "model", "markup": "2"}
    first = office.owner.http.get(address, params=query)
    assert (first.status_code, first.headers["content-type"]) == (200, "application/pdf")
    assert "Total 3 $3.0000 $6.00" in text_of(first.content)
    again = office.owner.http.get(address, params=query, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_row_that_is_no_event_holds_nobody_up(office: Office) -> None:
    event = UsageEvent(id=CallId(new_id("call")), at=now_ms(), workspace_id=WorkspaceId(office.workspace))
    poison = to_row(event) | {"event": {"S": "{"}}
    office.stack.client("dynamodb").put_item(TableName=office.stack.outputs["UsageTableName"], Item=poison)
    other = Office(office.stack)
    other.settle()
    until(lambda: other.get("usage/totals")["total"]["calls"] == 1)
    assert office.get("usage/totals")["total"]["calls"] == 3


def export(office: Office, form: str) -> bytes:
    base = f"/api/v1/workspaces/{office.workspace}/usage/exports"
    period = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    made = must(office.owner.http.post(base, json={**period, "format": form}))
    assert (made["state"], made["events"]) == ("queued", 0)
    until(lambda: office.get(f"usage/exports/{made['id']}")["state"] != "queued")
    done = office.get(f"usage/exports/{made['id']}")
    assert done["state"] == "done"
    (file,) = done["files"]
    assert file["events"] == 3
    answer = httpx.get(file["url"], timeout=PATIENCE)
    assert answer.status_code == 200
    return answer.content


def test_calls_are_exported_as_csv(office: Office) -> None:
    rows = list(csv.DictReader(io.StringIO(export(office, "csv").decode())))
    assert sum(int(row["cost_microcents"]) for row in rows) == 3 * 10**8 + 3
    assert {row["member"] for row in rows} == {office.owner.email}


def test_calls_are_exported_as_parquet(office: Office, tmp_path: Any) -> None:
    file = tmp_path / "calls.parquet"
    file.write_bytes(export(office, "parquet"))
    found: Any = duckdb.read_parquet(str(file))
    assert found.aggregate("count(*), sum(cost_microcents)").fetchall() == [(3, 3 * 10**8 + 3)]


def test_the_nightly_tick_goes_through(office: Office) -> None:
    """The schedule's event, under the function's own role. test_usage_books.py tests the effects."""
    client: Any = office.stack.client("lambda")
    name = office.stack.outputs["LedgerFunctionName"]
    answer = client.invoke(FunctionName=f"{name}:live", Payload=b'{"source": "schedule"}')
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert office.get("usage/totals")["total"]["calls"] == 3
