"""Our gateway in three processes beside the deployed stage, with a key that may spend US$1."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil

from benchmarks.gateway_stage import STAGE, gateways, got
from benchmarks.sandbox import deployed_environments
from benchmarks.team import Somebody, deployed_sessions, sign_in
from benchmarks.torture.provider import MODEL
from benchmarks.torture.storm import LIMIT, Gateway
from opencode_cloud.budgets.service import LeaseReaper
from opencode_cloud.budgets.store import CounterStore
from opencode_cloud.kit import aws
from opencode_cloud.kit.asgi_middleware import ORIGIN_HEADER
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.operators.deployed import Deployed

PROCESSES = 3
LEASE_SECONDS = 600
"""More than the lease of any call here."""


@contextmanager
def ours(url: str, provider_url: str, folder: Path) -> Iterator[Gateway]:
    """Publish the provider as a model, make a key with a budget, and serve in three processes."""
    _publish(provider_url)
    somebody = sign_in(deployed_sessions(), url)
    budget = _limit(url, somebody)
    secret = aws.secret(os.environ["ORIGIN_SECRET"])
    with gateways(folder, PROCESSES) as servers:
        yield Gateway(
            name="ours",
            urls=[f"{server.url}/zen/v1" for server in servers],
            headers={"authorization": f"Bearer {somebody.key}", ORIGIN_HEADER.decode(): secret},
            kill=lambda: _kill(servers[-1].program.pid or 0),
            booked=lambda: _booked(budget),
            expire=_expire,
        )


def _publish(provider_url: str) -> None:
    price = {"from": "2026-01-01T00:00:00Z", "input": "3.00", "output": "15.00"}
    model = {
        "name": "Torture",
        "format": "chat",
        "limits": {"context": 200_000, "output": 8_000},
        "prices": [price],
        "routes": [{"upstream": "provider", "model": MODEL}],
        "tokenizer": "o200k_base",
    }
    upstream = {"kind": "openai-compatible", "name": "Provider", "base_url": provider_url, "timers": {"total": 60}}
    document = {"upstreams": {"provider": upstream}, "models": {MODEL: model}}
    said = Deployed(STAGE).call({"type": "catalogue", "action": "publish", "document": json.dumps(document)})
    if "error" in said:
        raise RuntimeError(f"the catalogue was not published: {said}")


def _limit(url: str, somebody: Somebody) -> str:
    owner = {"authorization": f"Bearer {somebody.access_token}"}
    path = f"/api/v1/workspaces/{somebody.workspace}"
    with httpx.Client(base_url=url, headers=owner, timeout=60) as http:
        (key,) = got(http.get(f"{path}/keys"))["data"]
        wish = {"scope": "key", "subject_id": key["id"], "period": "day", "unit": "cost", "limit": LIMIT}
        return str(got(http.post(f"{path}/budgets", json=wish))["id"])


def _kill(pid: int) -> None:
    """Kill a server and its children with SIGKILL."""
    parent = psutil.Process(pid)
    for process in (*parent.children(recursive=True), parent):
        process.kill()


async def _booked(budget: str) -> tuple[int, int]:
    """Return what the budget's counter has as spent and as reserved."""
    rows: Any = boto3.client("dynamodb").scan(TableName=_tables()["BUDGETS_TABLE"])["Items"]
    found = [row for row in rows if row["sk"]["S"] == "COUNTER" and budget in row["pk"]["S"]]
    spent, reserved = (sum(int(row.get(name, {"N": "0"})["N"]) for row in found) for name in ("spent", "reserved"))
    return spent, reserved


async def _expire() -> None:
    """Do what the schedule does once the leases of killed calls have ended."""
    tables, dynamodb = _tables(), AsyncDynamoDB()
    store = CounterStore(dynamodb, tables["BUDGETS_TABLE"], tables["USAGE_TABLE"])
    await LeaseReaper(store).run(int(time.time()) + LEASE_SECONDS)
    await dynamodb.close()


def _tables() -> dict[str, str]:
    return deployed_environments()["gateway"]
