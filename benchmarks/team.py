"""The console plane: times of logging in, configuration and keys. `python -m benchmarks.team URL RESULT.json`.

A process of its own with the environment of the deployed functions. Latencies are of requests through the front door;
calls to AWS and SQL statements are counted in this process, where the functions' own code runs (see `accounting`).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import event
from sqlalchemy.engine import Engine

from benchmarks.cold import cold_starts
from benchmarks.functions import Event, Functions, http_event
from benchmarks.metering import HOLD_SECONDS, Meter
from benchmarks.pricing import calls_by_name, described_rounds
from benchmarks.sandbox import deployed_environments
from benchmarks.summary import milliseconds
from opencode_cloud.composition.control_plane import ControlPlane
from opencode_cloud.composition.sql_settings import ControlPlaneSettings
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import AccountId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.identity.service.sessions import Issued, Origin, Sessions
from opencode_cloud.identity.service.tokens import AccessTokens
from opencode_cloud.identity.store.keys import SigningKeys
from opencode_cloud.identity.store.sessions import SessionsStore
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.settings import load
from opencode_cloud.policies.models import Versioned
from opencode_cloud.schema.identity import accounts

Json = dict[str, Any]
CLIENT = {"client_id": "opencode-cli"}
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CONFIGURATION = {"model": "acme/large", "share": "manual", "instructions": ["AGENTS.md"]}
LOGIN_REPETITIONS = 40
"""Repetitions of login steps. A stage admits 60 device codes a minute and IP address."""


@dataclass(frozen=True)
class Somebody:
    """A person with a device, a workspace and a key."""

    account: str
    access_token: str
    refresh_token: str
    workspace: str
    key: str


def main() -> None:
    """Measure; write the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where the deployed local stage answers")
    parser.add_argument("result", type=Path)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--starts", type=int, default=5)
    arguments = parser.parse_args()
    environments = deployed_environments()
    sessions = deployed_sessions()
    somebody = sign_in(sessions, arguments.url)
    with httpx.Client(base_url=arguments.url, timeout=60) as http:
        result = {
            "latency": _latencies(http, somebody, arguments.repetitions),
            "operations": list(_operations(somebody, _begin(sessions, arguments.url, somebody.account).refresh_token)),
            "cold_starts": cold_starts(environments, arguments.starts),
        }
    arguments.result.write_text(json.dumps(result, indent=1))


def deployed_sessions() -> Sessions:
    """Return the stage's sessions; this process has the environment of its functions."""
    table = os.environ["SESSIONS_TABLE"]
    tokens = AccessTokens(SigningKeys(os.environ["SIGNING_KEYS"].split(","), table))
    return Sessions(SessionsStore(table), tokens, lambda: aws.secret(os.environ["DEPLOYMENT_KEY_SECRET"]))


def sign_in(sessions: Sessions, url: str) -> Somebody:
    """Sign a person in by calling the services. Over HTTP it would need a browser and a mailbox."""
    plane = ControlPlane(load(ControlPlaneSettings))
    account, email = new_id("acc"), f"{secrets.token_hex(6)}@example.com"
    with plane.outbox.unit() as unit:
        now = utc_now()
        row = {"id": account, "email": email, "name": "", "created_at": now, "updated_at": now}
        unit.connection.execute(accounts.insert(), row)
        unit.emit(Topic.ACCOUNT, account)
    issued = _begin(sessions, url, account)
    headers = {"Authorization": f"Bearer {issued.access_token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        workspace = _made(http.post("/api/v1/workspaces", json={"name": "Benchmark"}))["id"]
        path = f"/api/v1/workspaces/{workspace}"
        key = _made(http.post(f"{path}/keys", json={"name": "benchmark", "scopes": ["inference", "admin"]}))["secret"]
    actor = Actor(
        kind=ActorKind.ACCOUNT, credential=CredentialKind.TOKEN, id=account, name=email, workspace_id=workspace
    )
    plane.publisher.publish(actor, workspace, Versioned.CONFIGURATION, CONFIGURATION, 0)
    return Somebody(account, issued.access_token, issued.refresh_token, workspace, key)


def _begin(sessions: Sessions, url: str, account: str) -> Issued:
    return sessions.begin_device(url, "opencode-cli", AccountId(account), Origin("127.0.0.1", "benchmark"))


def _latencies(http: httpx.Client, somebody: Somebody, repetitions: int) -> Json:
    token = {"Authorization": f"Bearer {somebody.access_token}"}
    member = {**token, "x-org-id": somebody.workspace}
    key = {"Authorization": f"Bearer {somebody.key}"}
    path = f"/api/v1/workspaces/{somebody.workspace}"
    codes: list[str] = []

    def code() -> httpx.Response:
        answer = http.post("/auth/device/code", json=CLIENT)
        codes.append(_made(answer)["device_code"])
        return answer

    def poll() -> httpx.Response:
        body = {**CLIENT, "grant_type": DEVICE_GRANT, "device_code": codes.pop()}
        return http.post("/auth/device/token", json=body)

    refreshing = {**CLIENT, "grant_type": "refresh_token", "refresh_token": somebody.refresh_token}

    def refresh() -> httpx.Response:
        answer = http.post("/auth/device/token", json=refreshing)
        refreshing["refresh_token"] = _made(answer)["refresh_token"]
        return answer

    few = min(LOGIN_REPETITIONS, repetitions)
    steps: dict[str, tuple[int, int, Callable[[], httpx.Response]]] = {
        "device code": (few, 200, code),
        "poll, pending": (few, 400, poll),
        "refresh": (few, 200, refresh),
        "who am I (user)": (repetitions, 200, lambda: http.get("/api/user", headers=token)),
        "workspaces (orgs)": (repetitions, 200, lambda: http.get("/api/orgs", headers=token)),
        "config, by token": (repetitions, 200, lambda: http.get("/api/config", headers=member)),
        "config, by key (key check)": (repetitions, 200, lambda: http.get("/api/config", headers=key)),
        "health (no check at all)": (repetitions, 200, lambda: http.get("/health")),
        "list members (SQL)": (repetitions, 200, lambda: http.get(f"{path}/members", headers=token)),
    }
    return {name: _timed(*step) for name, step in steps.items()}


def _timed(repetitions: int, status: int, call: Callable[[], httpx.Response]) -> Json:
    taken: list[int] = []
    for _ in range(repetitions):
        began = time.monotonic_ns()
        answer = call()
        taken.append(time.monotonic_ns() - began)
        if answer.status_code != status:
            raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return milliseconds(taken)


def _operations(somebody: Somebody, refresh_token: str) -> Iterator[Json]:
    """Yield the calls of each operation, in sequential rounds, and its number of SQL statements."""
    meter = Meter()
    meter.install()
    functions = Functions(meter)
    token, path = somebody.access_token, f"/api/v1/workspaces/{somebody.workspace}"
    refresh = {**CLIENT, "grant_type": "refresh_token", "refresh_token": refresh_token}
    operations: dict[str, tuple[str, Event]] = {
        "device code": ("identity", http_event("POST", "/auth/device/code", CLIENT)),
        "refresh": ("identity", http_event("POST", "/auth/device/token", refresh)),
        "who am I (user)": ("identity", _with(http_event("GET", "/api/user"), token)),
        "workspaces (orgs)": ("identity", _with(http_event("GET", "/api/orgs"), token)),
        "config, by token": ("identity", _with(http_event("GET", "/api/config"), token, somebody.workspace)),
        "config, by key": ("identity", _with(http_event("GET", "/api/config"), somebody.key)),
        "list members": ("console", _with(http_event("GET", f"{path}/members"), token)),
        "list keys": ("console", _with(http_event("GET", f"{path}/keys"), token)),
        "make a key": ("console", _with(http_event("POST", f"{path}/keys", {"name": "counted"}), token)),
        "rename the workspace": ("console", _renaming(path, token)),
    }
    for name, (function, asked) in operations.items():
        # The first call creates clients and connections.
        functions.invoke(function, _with(http_event("GET", "/health"), token))
        with _statements() as statements:
            held = functions.invoke(function, asked, HOLD_SECONDS)
        status = held.answer["statusCode"]
        if status >= 400:
            raise RuntimeError(f"{name}: {status} {held.answer['body']}")
        yield {
            "operation": name,
            "function": function,
            "rounds": described_rounds(held.calls),
            "calls": calls_by_name(held.calls),
            "sql": len(statements),
            "cpu_ms": round(held.cpu_ms, 2),
        }


def _renaming(path: str, token: str) -> Event:
    renaming = _with(http_event("PATCH", path, {"name": "Counted"}), token)
    renaming["headers"]["if-match"] = '"1"'
    return renaming


def _with(asked: Event, bearer: str, workspace: str = "") -> Event:
    asked["headers"] |= {"authorization": f"Bearer {bearer}", **({"x-org-id": workspace} if workspace else {})}
    return asked


@contextmanager
def _statements() -> Iterator[list[str]]:
    """Record the SQL statements within the block."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _made(answer: httpx.Response) -> Json:
    if answer.status_code >= 300:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer.json()


if __name__ == "__main__":
    main()
