"""The audit trail in a real database, and over the API."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from opencode_cloud import audit
from opencode_cloud.audit import routes
from opencode_cloud.audit.deliveries import AuditDeliveries
from opencode_cloud.audit.models import AuditFilter
from opencode_cloud.audit.routes import AuditRoutes
from opencode_cloud.audit.service import AuditReading, AuditTrail, entry
from opencode_cloud.audit.store import AuditArchive, AuditStore
from opencode_cloud.contracts.access import not_permitted, workspace_not_found
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.http.api import api_app
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.audit import audit_entries
from opencode_cloud.schema.workspaces import workspaces

WORKSPACE = "wrk_01K0000000000000000000000A"
OTHER = "wrk_01K0000000000000000000000B"
ADA = Actor(
    kind=ActorKind.MEMBER,
    credential=CredentialKind.SESSION,
    id="mem_01K0000000000000000000000A",
    name="ada@example.com",
    workspace_id=WorkspaceId(WORKSPACE),
    address="203.0.113.7",
    correlation_id="trace-1",
)


def new_key() -> str:
    return f"oc_sk_{secrets.token_urlsafe(32)}"


class Trail:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.trail = AuditTrail(AuditStore())
        self.reading = AuditReading(AuditArchive(database))

    def record(self, action: str, actor: Actor = ADA, target: str = "mem_1", **options: Any) -> None:
        with self.database.transaction() as connection:
            self.trail.record(connection, actor, action, Target("member", target, "eve@example.com"), **options)

    def actions(self, **wanted: Any) -> list[str]:
        return [found.action for found in self.reading.find(WorkspaceId(WORKSPACE), AuditFilter(**wanted), None, 100)]


class Door:
    """A gate that admits a self-declared admin. The real gate has its own tests."""

    def member(self, request: Any, workspace: str, *permissions: Any) -> Actor:
        if request.bearer == "member":
            raise not_permitted(permissions[0])
        if request.bearer != "admin" or workspace != WORKSPACE:
            raise workspace_not_found()
        return ADA


@pytest.fixture
def trail(database: Database) -> Trail:
    return Trail(database)


@pytest.fixture
def app(trail: Trail) -> APIGatewayHttpResolver:
    made = api_app()
    AuditRoutes(trail.reading, Door()).mount(made)  # pyright: ignore[reportArgumentType]
    return made


def get(app: APIGatewayHttpResolver, path: str, bearer: str = "admin", **query: str) -> dict[str, Any]:
    return app.resolve(
        {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "queryStringParameters": query,
            "headers": {"authorization": f"Bearer {bearer}", "host": "cloud.example.com"},
            "requestContext": {
                "http": {"method": "GET", "path": path, "sourceIp": "203.0.113.7"},
                "requestId": "r",
                "stage": "$default",
                "domainName": "cloud.example.com",
            },
        },
        None,  # pyright: ignore[reportArgumentType]
    )


def test_an_entry_is_written_with_its_change_or_not_at_all(trail: Trail) -> None:
    def change() -> None:
        with trail.database.transaction() as connection:
            trail.trail.record(connection, ADA, "member.removed", Target("member", "mem_1"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert trail.actions() == []
    trail.record("member.removed", before={"role": "admin"})
    assert trail.actions() == ["member.removed"]


def test_the_database_refuses_to_change_an_entry(trail: Trail) -> None:
    trail.record("member.removed")
    with pytest.raises(DatabaseError, match="append-only"), trail.database.transaction() as connection:
        connection.execute(audit_entries.update().values(actor_name="nobody"))
    assert trail.reading.find(WorkspaceId(WORKSPACE), AuditFilter(), None, 1)[0].actor_name == "ada@example.com"


def test_no_code_of_ours_changes_an_entry() -> None:
    library = Path(audit.__file__).parents[1]
    changing = re.compile(r"audit_entries\s*\.\s*update|update\(\s*audit_entries|UPDATE\s+audit_entries", re.IGNORECASE)
    assert not [path for path in library.rglob("*.py") if changing.search(path.read_text())]


def test_a_secret_that_somebody_put_into_an_entry_by_mistake_is_withheld(trail: Trail) -> None:
    key = new_key()
    trail.record("key.created", before={"list": [{"value": f"Bearer {key}"}]}, after={"key": key, "name": "build"})
    [found] = trail.reading.find(WorkspaceId(WORKSPACE), AuditFilter(), None, 10)
    assert found.before == {"list": [{"value": "Bearer [withheld]"}]}
    assert found.after == {"key": "[withheld]", "name": "build"}


def test_a_message_that_comes_twice_writes_one_entry(trail: Trail) -> None:
    made = entry(ADA, "share.revoked", Target("share", "s1"), after={"state": "gone"})
    body = msgspec.json.encode(made).decode()
    records = [
        {"messageId": f"{n}", "receiptHandle": "r", "body": each} for n, each in enumerate((body, body, "{}"), 1)
    ]
    answer = AuditDeliveries(AuditArchive(trail.database)).handle({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "3"}]}
    assert trail.reading.find(WorkspaceId(WORKSPACE), AuditFilter(), None, 10) == [made]


def test_filters_narrow_by_who_what_whom_and_when(trail: Trail) -> None:
    trail.record("member.removed", target="mem_9")
    trail.record("member.invited")
    trail.record(
        "key.created",
        Actor(kind=ActorKind.MEMBER, id="mem_2", name="bob@example.com", workspace_id=WorkspaceId(WORKSPACE)),
    )
    assert trail.actions(actor="ADA@example.com") == ["member.invited", "member.removed"]
    assert trail.actions(actor="mem_2") == ["key.created"]
    assert trail.actions(action="member.*") == ["member.invited", "member.removed"]
    assert trail.actions(action="member.invited") == ["member.invited"]
    assert trail.actions(action="%") == []
    assert trail.actions(target="mem_9") == ["member.removed"]
    assert trail.actions(since=utc_now()) == []
    assert trail.actions(until=utc_now() - timedelta(minutes=1)) == []
    assert len(trail.actions(since=utc_now() - timedelta(minutes=1), until=utc_now() + timedelta(minutes=1))) == 3


def test_pages_hold_every_entry_once_the_newest_first(trail: Trail, app: APIGatewayHttpResolver) -> None:
    for number in range(7):
        trail.record(f"member.act{number}")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = get(app, f"/api/v1/workspaces/{WORKSPACE}/audit", limit="3", **cursor)
        page = json.loads(answer["body"])
        seen += [each["action"] for each in page["data"]]
        assert all(each["at"].endswith("Z") for each in page["data"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [f"member.act{number}" for number in reversed(range(7))]


def test_others_see_nothing(trail: Trail, app: APIGatewayHttpResolver) -> None:
    trail.record("member.removed")
    assert get(app, f"/api/v1/workspaces/{WORKSPACE}/audit", "member")["statusCode"] == 403
    for path in (f"/api/v1/workspaces/{OTHER}/audit", f"/api/v1/workspaces/{OTHER}/audit/export"):
        answer = get(app, path)
        assert answer["statusCode"] == 404
        assert json.loads(answer["body"])["code"] == "workspace_not_found"


@pytest.mark.parametrize(
    "query",
    [{"limit": "101"}, {"limit": "x"}, {"cursor": "e30"}, {"from": "yesterday"}, {"from": "2026-01-01T00:00:00"}],
)
def test_wrong_parameters_are_named(app: APIGatewayHttpResolver, query: dict[str, str]) -> None:
    answer = get(app, f"/api/v1/workspaces/{WORKSPACE}/audit", **query)
    assert answer["statusCode"] == 400
    assert next(iter(query)) in json.loads(answer["body"])["detail"]


def test_an_export_in_parts_is_one_file(
    trail: Trail, app: APIGatewayHttpResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "LARGEST_EXPORT", 2)
    for number in range(5):
        trail.record(f"member.act{number}", after={"role": "admin", "number": number})
    whole, path, query = "", f"/api/v1/workspaces/{WORKSPACE}/audit/export", {"format": "csv"}
    while True:
        answer = get(app, path, **query)
        assert answer["headers"]["Content-Type"].startswith("text/csv")
        whole += answer["body"]
        if "Link" not in answer["headers"]:
            break
        link = answer["headers"]["Link"]
        query["cursor"] = link.partition("cursor=")[2].partition(">")[0]
        assert f"<{path}?format=csv&cursor=" in link
    rows = list(csv.DictReader(io.StringIO(whole)))
    assert [row["action"] for row in rows] == [f"member.act{number}" for number in reversed(range(5))]
    assert json.loads(rows[0]["after"]) == {"role": "admin", "number": 4}
    assert rows[0]["at"].endswith("Z")


def test_a_name_is_no_formula_in_a_spreadsheet(trail: Trail, app: APIGatewayHttpResolver) -> None:
    trail.record(
        "member.removed",
        Actor(kind=ActorKind.MEMBER, id="mem_2", name='=HYPERLINK("http://x")', workspace_id=WorkspaceId(WORKSPACE)),
    )
    body = get(app, f"/api/v1/workspaces/{WORKSPACE}/audit/export")["body"]
    assert next(csv.DictReader(io.StringIO(body)))["actor_name"] == '\'=HYPERLINK("http://x")'


def test_json_is_exported_as_it_is_listed(trail: Trail, app: APIGatewayHttpResolver) -> None:
    trail.record("member.removed", before={"role": "owner"})
    listed = json.loads(get(app, f"/api/v1/workspaces/{WORKSPACE}/audit")["body"])["data"]
    assert json.loads(get(app, f"/api/v1/workspaces/{WORKSPACE}/audit/export", format="json")["body"]) == listed


def test_entries_go_when_their_workspace_keeps_them_no_longer(trail: Trail) -> None:
    now = utc_now()
    with trail.database.transaction() as connection:
        for workspace, days in ((WORKSPACE, 30), (OTHER, 400)):
            connection.execute(
                workspaces.insert(),
                {
                    "id": workspace,
                    "name": "w",
                    "audit_retention_days": days,
                    "created_at": now,
                    "updated_at": now,
                },
            )
        for workspace, age in ((WORKSPACE, 31), (WORKSPACE, 29), (OTHER, 399), (None, 366), ("wrk_gone", 366)):
            row = entry(ADA, "member.removed", Target("member", f"{workspace}-{age}"))
            values = msgspec.structs.asdict(row)
            connection.execute(
                audit_entries.insert(), values | {"workspace_id": workspace, "at": now - timedelta(days=age)}
            )
    assert trail.reading.purge() == 3
    with trail.database.transaction() as connection:
        left = connection.execute(text("SELECT target_id FROM audit_entries ORDER BY target_id")).scalars().all()
    assert left == [f"{WORKSPACE}-29", f"{OTHER}-399"]


def test_times_with_a_zone_are_compared_as_what_they_are(trail: Trail, app: APIGatewayHttpResolver) -> None:
    trail.record("member.removed")
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    path = f"/api/v1/workspaces/{WORKSPACE}/audit"
    assert json.loads(get(app, path, **{"from": later})["body"])["data"] == []
    assert len(json.loads(get(app, path, to=later)["body"])["data"]) == 1
