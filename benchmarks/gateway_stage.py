"""Prepare the gateway for measurements: a catalogue with the scripted upstream, a key, budgets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx

from benchmarks.team import Somebody, deployed_sessions, sign_in
from local.gateway import LocalGateway
from opencode_cloud.kit import aws
from opencode_cloud.kit.asgi_middleware import ORIGIN_HEADER
from opencode_cloud.operators.deployed import Deployed

ROOT = Path(__file__).resolve().parent.parent
Json = dict[str, Any]
STAGE = "local"
MODEL = "scripted"
UPSTREAM = "one"
THOUSAND_DOLLARS = 100_000_000_000
"""In micro-cents."""


@dataclass(frozen=True)
class Prepared:
    """Who calls."""

    headers: dict[str, str]
    """Headers of a call directly to the gateway, as the edge would forward it."""


def prepare(url: str, upstream_url: str) -> Prepared:
    """Publish the catalogue and create a key whose calls count towards three budgets: workspace, member, key."""
    _publish(upstream_url)
    somebody = sign_in(deployed_sessions(), url)
    _limit(url, somebody)
    secret = aws.secret(os.environ["ORIGIN_SECRET"])
    return Prepared({"authorization": f"Bearer {somebody.key}", ORIGIN_HEADER.decode(): secret})


def _publish(upstream_url: str) -> None:
    price = {"from": "2026-01-01T00:00:00Z", "input": "1.00", "output": "4.00"}
    model = {
        "name": "Scripted",
        "format": "chat",
        "limits": {"context": 200_000, "output": 8_000},
        "prices": [price],
        "routes": [{"upstream": UPSTREAM, "model": MODEL}],
        "tokenizer": "o200k_base",
    }
    upstream = {"kind": "openai-compatible", "name": "Scripted", "base_url": f"{upstream_url}/{UPSTREAM}/v1"}
    document = {"upstreams": {UPSTREAM: upstream}, "models": {MODEL: model}}
    command = {"type": "catalogue", "action": "publish", "document": json.dumps(document)}
    said = Deployed(STAGE).call(command)
    if "error" in said:
        raise RuntimeError(f"the catalogue was not published: {said}")


def _limit(url: str, somebody: Somebody) -> None:
    owner = {"authorization": f"Bearer {somebody.access_token}"}
    path = f"/api/v1/workspaces/{somebody.workspace}"
    with httpx.Client(base_url=url, headers=owner, timeout=60) as http:
        (member,) = got(http.get(f"{path}/members"))["data"]
        (key,) = got(http.get(f"{path}/keys"))["data"]
        for wish in (
            {"scope": "workspace", "period": "month"},
            {"scope": "member", "subject_id": member["id"], "period": "day"},
            {"scope": "key", "subject_id": key["id"], "period": "day"},
        ):
            got(http.post(f"{path}/budgets", json={**wish, "unit": "cost", "limit": THOUSAND_DOLLARS}))


@contextmanager
def gateways(folder: Path, count: int, *, workers: int = 1) -> Iterator[list[LocalGateway]]:
    """Run more gateways beside the stage's own, each with ``workers`` processes, with what they write in ``folder``."""
    servers = [LocalGateway(folder / f"gateway-{number}", ROOT, workers) for number in range(count)]
    described, settings = _described(), _settings()
    try:
        for number, server in enumerate(servers):
            (folder / f"gateway-{number}").mkdir()
            server.choose_port(None)
            server.start(described, settings)
        yield servers
    finally:
        for server in servers:
            server.program.stop()


def _described() -> Any:
    client = boto3.client("lambda")
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            if function.get("Environment", {}).get("Variables", {}).get("POWERTOOLS_SERVICE_NAME") == "gateway":
                return function
    raise RuntimeError("the stage has no function `gateway`")


def _settings() -> dict[str, str]:
    return {
        "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "region_name": os.environ["AWS_REGION"],
    }


def got(answer: httpx.Response) -> Any:
    """Return the document of an answer. Raises :class:`RuntimeError` for an error."""
    if answer.status_code >= 300:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer.json()
