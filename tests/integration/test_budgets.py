"""Budgets on the deployed stage: set over HTTP, projected to the gateway, notified by mail and webhook."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from local.stack import LocalStack
from opencode_cloud.budgets.service import Reservations, counters_of
from opencode_cloud.budgets.store import CounterStore
from opencode_cloud.contracts.access import KnownWorkspace
from opencode_cloud.contracts.budgets import BudgetExhausted, Claim, Reservation
from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.money import DOLLAR
from tests.integration.people import People, Person
from tests.integration.test_operators import Command
from tests.integration.world import must
from tests.waiting import until

CENT = DOLLAR // 100
BUDGET = {"scope": "workspace", "unit": "cost", "period": "month", "limit": DOLLAR}


class Hook:
    """A webhook that accepts every request."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/budgets"

    def close(self) -> None:
        self._server.shutdown()


class Shop:
    """A workspace with an owner, and calls that count as the gateway's calls do."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.owner: Person = People(stack).somebody()
        self.workspace = self.owner.found()
        self.base = f"/api/v1/workspaces/{self.workspace}"

    def known(self) -> KnownWorkspace:
        key = {"pk": {"S": f"workspace#{self.workspace}"}, "sk": {"S": "WORKSPACE"}}
        row = self.stack.client("dynamodb").get_item(TableName=self.stack.outputs["AccessTableName"], Key=key)
        return msgspec.json.decode(row["Item"]["value"]["S"], type=KnownWorkspace)

    def spend(self, cost: int) -> None:
        asyncio.run(self._spend(cost))

    async def _spend(self, cost: int) -> None:
        now, dynamodb = time.time(), AsyncDynamoDB()
        outputs = self.stack.outputs
        budgets = Reservations(CounterStore(dynamodb, outputs["BudgetsTableName"], outputs["UsageTableName"]))
        counters = counters_of(self.known(), None, None, None, int(now))
        claim = Claim(cost=cost, charged=cost, tokens=1)
        made = Reservation(id=CallId(new_id("call")), counters=counters, claim=claim, lease_until=int(now) + 900)
        event = UsageEvent(
            id=made.id,
            at=int(now * 1000),
            workspace_id=WorkspaceId(self.workspace),
            cost=cost,
            charged=cost,
            reserved=cost,
        )
        try:
            await budgets.reserve(made, event)
            await budgets.settle(made, event)
        finally:
            await dynamodb.close()


@pytest.fixture
def shop(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Shop:
    settings = stack.client_settings()
    known = {
        "AWS_ENDPOINT_URL": settings["endpoint_url"],
        "AWS_DEFAULT_REGION": settings["region_name"],
        "AWS_ACCESS_KEY_ID": settings["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": settings["aws_secret_access_key"],
    }
    for name, value in known.items():
        monkeypatch.setitem(os.environ, name, value)
    return Shop(stack)


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


def test_a_budget_set_over_http_is_known_to_the_gateway_within_moments(shop: Shop) -> None:
    made = must(shop.owner.http.post(f"{shop.base}/budgets", json=BUDGET))
    until(lambda: [each.id for each in shop.known().budgets] == [made["id"]])

    path, tag = f"{shop.base}/budgets/{made['id']}", f'"{made["version"]}"'
    raised = must(shop.owner.http.patch(path, json={"limit": 2 * DOLLAR}, headers={"If-Match": tag}))
    until(lambda: [each.limit for each in shop.known().budgets] == [2 * DOLLAR])
    assert shop.owner.http.patch(path, json={"limit": 0}, headers={"If-Match": tag}).status_code == 412
    assert shop.owner.http.patch(path, json={"limit": 0}).status_code == 428

    assert raised["version"] == made["version"] + 1
    assert shop.owner.http.delete(path).status_code == 204
    until(lambda: shop.known().budgets == ())


def test_a_balance_that_an_operator_grants_bounds_calls_within_moments(shop: Shop) -> None:
    command = Command(shop.stack)
    for _ in range(2):
        command("grant", shop.workspace, "25", "--reason", "pilot", "--key", "order-1")
    until(lambda: [(each.scope, each.limit) for each in shop.known().budgets] == [("balance", 25 * DOLLAR)])
    [grant] = must(shop.owner.http.get(f"{shop.base}/balance/grants"))["data"]
    assert (grant["amount"], grant["reason"]) == (25 * DOLLAR, "pilot")


def test_people_and_webhook_are_told_once(shop: Shop, hook: Hook) -> None:
    budget = must(shop.owner.http.post(f"{shop.base}/budgets", json=BUDGET))
    must(shop.owner.http.put(f"{shop.base}/budget-alerts/webhook", json={"url": hook.url}))
    shop.spend(55 * CENT)
    shop.spend(30 * CENT)

    def told() -> list[int]:
        return sorted(said["threshold"] for said in hook.taken)

    until(lambda: told() == [50, 80])
    mail = shop.stack.mailbox.wait(shop.owner.email, where=lambda each: "has reached 80 %" in each.text)
    assert "$0.85 of $1.00 used" in mail.text

    with pytest.raises(BudgetExhausted):
        shop.spend(20 * CENT)
    function = shop.stack.outputs["BudgetsFunctionName"]
    shop.stack.client("lambda").invoke(FunctionName=function, Payload=b'{"source": "schedule"}')
    until(lambda: told() == [50, 80, 100])
    shop.spend(1 * CENT)
    time.sleep(3)
    assert told() == [50, 80, 100]

    alerts = must(shop.owner.http.get(f"{shop.base}/budget-alerts"))["data"]
    assert sorted(alert["threshold"] for alert in alerts) == [50, 80, 100]
    shown = must(shop.owner.http.get(f"{shop.base}/budgets/{budget['id']}"))["standing"]
    assert (shown["spent"], shown["reserved"], shown["remaining"]) == (86 * CENT, 0, 14 * CENT)


def test_what_is_kept_of_calls_is_a_setting_that_the_gateway_learns(shop: Shop) -> None:
    path = f"{shop.base}/usage/settings"
    assert must(shop.owner.http.get(path)) == {"metadata_days": 0, "project_headers": []}
    settings = {"metadata_days": 30, "project_headers": ["x-cost-center"]}
    assert must(shop.owner.http.put(path, json=settings)) == settings
    until(lambda: shop.known().metadata_days == 30)
    assert shop.known().project_headers == ("x-cost-center",)
