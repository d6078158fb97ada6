"""A workspace with one of everything in it, filled by its founder over HTTP."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx

from opencode_cloud.contracts.ids import CallId, MemberId, PaymentId, RefundOrderId, TopUpId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import now_ms, utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.sql import Database
from opencode_cloud.payments.models import TopUp, TopUpState
from opencode_cloud.payments.models.refunds import RefundOrder, RefundState
from opencode_cloud.payments.store.refunds import RefundStore
from opencode_cloud.payments.store.top_ups import TopUpStore
from opencode_cloud.schema.usage_events import to_row
from tests.integration.people import People, Person
from tests.integration.publisher import new_session_id, session
from tests.integration.tokens import access_token
from tests.waiting import PATIENCE, until

CANARY = "canary" + secrets.token_hex(4)
"""A part of every name and address of this workspace. No answer to another actor may contain it."""


@dataclass
class World:
    """The workspace, and whom it belongs to."""

    stack: Any
    people: People
    owner: Person
    workspace: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    """By parameter of a path."""


def found(stack: Any) -> World:
    """Make a workspace of a new person, and fill it."""
    people = People(stack)
    owner = people.somebody(f"{CANARY}-{secrets.token_hex(3)}-founder@example.com")
    world = World(stack, people, owner, owner.found(f"{CANARY} workspace"))
    fill(world)
    return world


def must(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json()


def fill(world: World) -> None:
    """Make one of everything that a path can name."""
    http, base = world.owner.http, f"/api/v1/workspaces/{world.workspace}"

    def make(path: str, **body: Any) -> str:
        return must(http.post(f"{base}/{path}", json=body))["id"]

    world.ids = {
        "workspace": world.workspace,
        "member": must(http.get(f"{base}/members"))["data"][0]["id"],
        "invitation": make("invitations", email=f"{CANARY}-invited@example.com", role="member"),
        "service_account": make("service-accounts", name=f"{CANARY} machine"),
        "key": make("keys", name=f"{CANARY} key"),
        "group": make("groups", name=f"{CANARY} group"),
        "domain": make("domains", domain=f"{CANARY}.example.com"),
        "credential": make("providers", provider="anthropic", name=CANARY, secret="sk-ant-" + secrets.token_hex(16)),
        "budget": make("budgets", scope="workspace", unit="cost", period="month", limit=2_000_000_000),
        "version": "1",
        "period": "2026-10",
        "number": "2026-000001",
        "session": "ses_pseudonym",
        # The stage keeps no ledger, so it has no transaction.
        "transaction": new_id("ltx"),
    }
    world.ids["share"] = shared(world)
    world.ids["call"] = used(world)
    world.ids["top_up"] = bought(world)
    world.ids["refund"] = refunded(world)
    period = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}
    world.ids["export"] = make("usage/exports", **period)
    policy = {"policy": {"models": {"allow": [f"{CANARY}/*"]}}, "comment": CANARY}
    must(http.put(f"{base}/policy", json=policy, headers={"If-Match": '"0"'}))
    configuration = {"configuration": {"username": CANARY}, "comment": CANARY}
    must(http.put(f"{base}/configuration", json=configuration, headers={"If-Match": '"0"'}))


def shared(world: World) -> str:
    """Share a session as the owner's client does, and return the share's id."""
    token = access_token(world.stack, world.owner)
    headers = {"authorization": f"Bearer {token}", "x-org-id": world.workspace}
    client = httpx.Client(base_url=world.stack.url, headers=headers, timeout=PATIENCE)
    session_id = new_session_id()
    made = must(client.post("/api/shares", json={"sessionID": session_id}))
    item = session(session_id, f"{CANARY} session")
    must(client.post(f"/api/shares/{made['id']}/sync", json={"secret": made["secret"], "data": [item]}))
    return made["id"]


def bought(world: World) -> str:
    """Leave a purchase of credit behind, which the stage cannot make without an account at Stripe; return its id."""
    now = utc_now()
    top_up = TopUp(
        id=TopUpId(new_id("top")),
        workspace_id=WorkspaceId(world.workspace),
        credit=2_000_000_000,
        fee=0,
        currency="USD",
        state=TopUpState.EXPIRED,
        reason=CANARY,
        created_by=world.ids["member"],
        created_at=now,
        updated_at=now,
    )
    with Database(world.stack.database.access.url()).transaction() as connection:
        TopUpStore().add(connection, top_up)
    return top_up.id


def refunded(world: World) -> str:
    """Leave an order of a refund behind, and return its id."""
    now = utc_now()
    order = RefundOrder(
        id=RefundOrderId(new_id("rfd")),
        workspace_id=WorkspaceId(world.workspace),
        payment_id=PaymentId(new_id("pi")),
        amount=1_000_000_000,
        asked=0,
        idempotency_key=new_id("req"),
        reason=CANARY,
        state=RefundState.REFUSED,
        requested_by=world.ids["member"],
        created_at=now,
        updated_at=now,
    )
    with Database(world.stack.database.access.url()).transaction() as connection:
        RefundStore().add(connection, order)
    return order.id


def used(world: World) -> str:
    """Leave the event of a model call behind, as the gateway does, and return the call's id once it is in the books."""
    call, now = new_id("call"), now_ms()
    event = UsageEvent(
        id=CallId(call),
        at=now,
        workspace_id=WorkspaceId(world.workspace),
        member_id=MemberId(world.ids["member"]),
        model=f"{CANARY}/model",
        cost=1,
    )
    world.stack.client("dynamodb").put_item(TableName=world.stack.outputs["UsageTableName"], Item=to_row(event))
    address = f"/api/v1/workspaces/{world.workspace}/usage/events/{call}"
    until(lambda: world.owner.http.get(address).status_code != 404)
    return must(world.owner.http.get(address))["id"]


def state(world: World) -> dict[str, Any]:
    """Return what the workspace's things are, to its owner."""
    names = ("share", "member", "invitation", "service_account", "key", "domain", "credential", "budget", "group")
    folders = {"service_account": "service-accounts", "credential": "providers"}
    paths = [f"/{folders.get(name, f'{name}s')}/{world.ids[name]}" for name in names]
    base = f"/api/v1/workspaces/{world.workspace}"
    return {path: must(world.owner.http.get(base + path)) for path in ("", "/policy", "/configuration", *paths)}
