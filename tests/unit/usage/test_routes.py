"""Usage over HTTP: totals, series, calls and CSV of a workspace with people."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.catalogue.service.prices import PriceHistory
from opencode_cloud.catalogue.service.starting import starting_catalogue
from opencode_cloud.catalogue.store.versions import VersionStore
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.usage import SettledEvent, Tokens
from opencode_cloud.kit.pagination import encode_cursor
from opencode_cloud.usage.routes import UsageRoutes
from opencode_cloud.usage.service import CacheMisses, ExportService, Ingest, UsageReader
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.usage.store.exports import ExportFiles, ExportStore
from opencode_cloud.usage.store.figures import Figures
from opencode_cloud.usage.store.ledger import Ledger
from tests.unit.usage.events import DAY, NOON, event
from tests.unit.usage.test_exports import Inbox
from tests.unit.workspaces.calls import Api
from tests.unit.workspaces.team import Place

NOVEMBER = {"from": "2025-11-01T00:00:00Z", "to": "2025-12-01T00:00:00+00:00"}


class Office:
    """A workspace with calls of an owner and a member."""

    def __init__(self, place: Place) -> None:
        self.api = Api(place)
        trail, bucket = AuditTrail(AuditStore()), ExportFiles("no bucket")
        self.inbox = Inbox()
        exports = ExportService(place.outbox, trail, ExportStore(place.database), self.inbox, bucket)
        reading = UsageReader(Figures(place.database), EventArchive(place.database))
        misses = CacheMisses(EventArchive(place.database), PriceHistory(VersionStore(place.database)))
        UsageRoutes(reading, exports, misses, self.api.access).mount(self.api.app)
        owner = place.person("ann@example.com")
        self.workspace = place.founded(owner).id
        self.ann = place.member(owner, self.workspace)
        self.ben = place.joined(self.ann, "ben@example.com", "member")
        self.ingest = Ingest(Ledger(place.database))
        self.bearers = {self.ann.id: self.api.knows(owner), self.ben.id: self.api.knows(self.ben)}

    def used(self, number: int, who: Actor, **changes: Any) -> None:
        own = {"workspace_id": self.workspace, "member_id": who.id, **changes}
        self.ingest.take([SettledEvent(event=msgspec.structs.replace(event(number), **own))])

    def get(self, path: str, who: Actor | None = None, **query: str) -> Any:
        route = f"GET /api/v1/workspaces/{self.workspace}/usage/{path}"
        return self.api(self.bearers[(who or self.ann).id], route, query={**NOVEMBER, **query})


@pytest.fixture
def office(place: Place) -> Office:
    made = Office(place)
    made.used(1, made.ann)
    made.used(2, made.ben, model="gpt", cost=50_000_001, charged=0, byok=True)
    made.used(3, made.ben, at=NOON + DAY, cost=1)
    return made


def sheet(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.body)))


def test_totals_are_grouped_the_costliest_first_with_the_names_of_people(office: Office) -> None:
    answer = office.get("totals", group_by="member", limit="1").body
    assert (answer["from"], answer["to"]) == ("2025-11-01T00:00:00.000000Z", "2025-12-01T00:00:00.000000Z")
    assert (answer["total"]["calls"], answer["total"]["cost"], answer["total"]["charged"]) == (
        3,
        200_000_002,
        300_000_000,
    )
    assert answer["total"]["tokens"]["cache_read"] == 3000
    (first,) = answer["data"]
    assert (first["group"], first["name"], first["usage"]["cost"]) == (office.ann.id, "ann@example.com", 150_000_000)
    following = office.get("totals", group_by="member", limit="1", cursor=answer["next_cursor"]).body
    assert [(each["name"], each["usage"]["cost"]) for each in following["data"]] == [("ben@example.com", 50_000_002)]
    assert following["next_cursor"] is None


def test_a_series_has_a_point_for_each_day_with_calls(office: Office) -> None:
    points = office.get("series", interval="day").body["data"]
    assert [(point["start"], point["usage"]["calls"], point["group"]) for point in points] == [
        ("2025-11-25T00:00:00.000000Z", 2, None),
        ("2025-11-26T00:00:00.000000Z", 1, None),
    ]


def test_filters_narrow_what_is_counted(office: Office) -> None:
    assert office.get("totals", byok="true").body["total"]["cost"] == 50_000_001
    assert office.get("totals", model="claude-sonnet", member=office.ben.id).body["total"]["cost"] == 1
    assert office.get("totals", outcome="failed").body["total"]["calls"] == 0
    assert office.get("totals", session="ses_pseudonym").body["total"]["calls"] == 3
    assert office.get("totals", outcome="surprised").status == 400


def test_a_member_sees_their_own_calls_only(office: Office) -> None:
    listed = office.get("events", office.ben).body["data"]
    assert [(call["member"], call["model"]) for call in listed] == [
        ("ben@example.com", "claude-sonnet"),
        ("ben@example.com", "gpt"),
    ]
    assert office.get(f"events/{event(1).id}", office.ben).status == 404
    assert office.get("totals", office.ben, member=office.ann.id).status == 403


def test_every_cent_has_a_call(office: Office) -> None:
    call = office.get(f"events/{event(2).id}").body
    assert (call["cost"], call["byok"], call["price"], call["correlation_id"]) == (50_000_001, True, "p1", "trace-1")
    assert call["tokens"]["output"] == 20


def test_money_in_sheets_is_in_micro_cents_and_in_dollars(office: Office) -> None:
    answer = office.get("events.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    names, *rows = sheet(answer)
    found = [dict(zip(names, row, strict=True)) for row in rows]
    assert [(row["cost_microcents"], row["cost_usd"]) for row in found] == [
        ("1", "0.00000001"),
        ("50000001", "0.50000001"),
        ("150000000", "1.50000000"),
    ]
    assert {row["at"][:10] for row in found} == {"2025-11-25", "2025-11-26"}


def test_sheets_of_totals_and_series_say_what_the_documents_say(office: Office) -> None:
    (names, *rows) = sheet(office.get("totals.csv", group_by="model"))
    found = {row[1]: dict(zip(names, row, strict=True)) for row in rows}
    assert {model: row["cost_usd"] for model, row in found.items()} == {
        "claude-sonnet": "1.50000001",
        "gpt": "0.50000001",
    }
    assert sheet(office.get("totals.csv"))[1][3] == "3"
    assert [row[0] for row in sheet(office.get("series.csv"))[1:]] == [
        "2025-11-25T00:00:00.000000Z",
        "2025-11-26T00:00:00.000000Z",
    ]


@pytest.mark.parametrize(
    ("path", "query"), [("events.csv", {}), ("series.csv", {}), ("totals.csv", {"group_by": "member"})]
)
def test_a_long_sheet_leads_to_its_next_part_which_can_be_appended(
    office: Office, monkeypatch: pytest.MonkeyPatch, path: str, query: dict[str, str]
) -> None:
    whole = office.get(path, None, **query).body
    for module in ("sheet", "events", "figures"):
        monkeypatch.setattr(f"opencode_cloud.usage.routes.{module}.MOST_ROWS", 1)
    answer = office.get(path, None, **query)
    parts = [answer.body]
    while link := answer.headers.get("link"):
        address = urlsplit(link.removeprefix("<").removesuffix('>; rel="next"'))
        answer = office.get(path, None, **dict(parse_qsl(address.query)))
        parts.append(answer.body)
    assert len(parts) > 1
    assert "".join(parts) == whole


def test_no_name_becomes_a_formula_in_a_spreadsheet(office: Office) -> None:
    office.used(4, office.ann, model="=HYPERLINK(1)")
    assert "'=HYPERLINK(1)" in office.get("totals.csv", group_by="model").body


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"from": "2025-11-02T00:00:00Z", "to": "2025-11-01T00:00:00Z"}, 422, "invalid_period"),
        ({"from": "0001-01-01T00:00:00+14:00"}, 422, "invalid_period"),
        ({"from": "9999-12-31T23:30:00Z", "to": "9999-12-31T23:45:00Z"}, 422, "invalid_period"),
        ({"from": "yesterday"}, 400, "invalid_request"),
        ({"group_by": "colour"}, 400, "invalid_request"),
        ({"group_by": "model", "cursor": "nonsense"}, 400, "invalid_cursor"),
        ({"group_by": "model", "cursor": encode_cursor((10**300, "x"))}, 400, "invalid_cursor"),
    ],
)
def test_what_cannot_be_meant_is_refused(office: Office, query: dict[str, str], status: int, code: str) -> None:
    answer = office.get("totals", None, **query)
    assert (answer.status, answer.body["code"]) == (status, code)


class TestExports:
    def path(self, office: Office, rest: str = "") -> str:
        return f"/api/v1/workspaces/{office.workspace}/usage/exports{rest}"

    def test_an_export_is_accepted_and_listed(self, office: Office) -> None:
        ann = office.bearers[office.ann.id]
        made = office.api(ann, f"POST {self.path(office)}", {**NOVEMBER, "format": "parquet"})
        assert (made.status, made.body["state"], made.body["from"]) == (202, "queued", "2025-11-01T00:00:00.000000Z")
        assert [request.export_id for request in office.inbox.sent] == [made.body["id"]]
        assert office.api(ann, f"GET {self.path(office)}").body["data"] == [made.body]
        assert office.api(ann, f"GET {self.path(office, '/' + made.body['id'])}").body == {**made.body, "files": []}

    def test_only_who_reads_the_workspaces_usage_exports_it(self, office: Office) -> None:
        ben = office.bearers[office.ben.id]
        for route in ("GET", "POST"):
            refused = office.api(ben, f"{route} {self.path(office)}", NOVEMBER if route == "POST" else None)
            assert (refused.status, refused.body["code"]) == (403, "not_permitted")

    def test_a_schedule_is_set_read_and_ended(self, office: Office) -> None:
        ann, schedule = office.bearers[office.ann.id], self.path(office, "/schedule")
        assert office.api(ann, f"GET {schedule}").status == 404
        set_ = office.api(ann, f"PUT {schedule}", {"every": "weekly", "format": "csv"})
        assert (set_.status, set_.body["every"], set_.body["changed_by"]) == (200, "weekly", "ann@example.com")
        assert office.api(ann, f"GET {schedule}").body == set_.body
        assert office.api(ann, f"DELETE {schedule}").status == 204
        assert office.api(ann, f"DELETE {schedule}").status == 404


@pytest.mark.parametrize("year", ["0001", "0999", "9998"])
def test_times_that_no_call_has_are_asked_for_in_vain_and_without_harm(office: Office, year: str) -> None:
    period = {"from": f"{year}-02-01T00:30:00Z", "to": f"{year}-03-01T00:30:00Z"}
    for path in ("totals", "series", "events"):
        assert office.get(path, None, **period).status == 200
    start = encode_cursor((datetime(1, 2, 3), ""))  # noqa: DTZ001 - UTC without a zone
    assert office.get("series", cursor=start).status == 200


def test_a_session_is_told_what_it_lost_to_cache_misses(office: Office) -> None:
    price = starting_catalogue().models["claude-sonnet-5"].prices[0]
    made = {"session": "ses_1", "model": "claude-sonnet-5", "price": price.version}
    office.used(11, office.ben, **made, tokens=Tokens(input=10, cache_write=50_000, output=9))
    office.used(12, office.ben, **made, at=NOON + 3_600_000, tokens=Tokens(input=20, cache_write=60_000, output=9))
    found = office.get("sessions/ses_1/cache-misses", office.ben).body
    assert (found["calls"], found["complete"], found["prompt_tokens"], found["cache_read_tokens"]) == (
        *(2, True),
        *(110_030, 0),
    )
    [miss] = found["data"]
    assert (miss["call_id"], miss["tokens"], miss["cause"]) == (event(12).id, 50_010, "expired")
    rates = price.rates
    assert rates.cache_write is not None
    assert rates.cache_read is not None
    expected = 50_010 * (rates.cache_write - rates.cache_read) // 1_000_000
    assert abs(miss["cost"] - expected) <= 1
    assert (found["lost_tokens"], found["lost_cost"]) == (50_010, miss["cost"])
    office.used(13, office.ann, session="ses_2", price="unknown", tokens=Tokens(input=9000))
    office.used(14, office.ann, session="ses_2", price="unknown", at=NOON + 1000, tokens=Tokens(input=9500))
    other = office.get("sessions/ses_2/cache-misses").body
    assert (other["lost_cost"], [(each["cost"], each["cause"]) for each in other["data"]]) == (0, [(None, "uncached")])
    assert office.get("sessions/ses_2/cache-misses", office.ben).body["calls"] == 0
