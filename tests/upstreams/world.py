"""A deployed stage with a catalogue of scripted upstreams; callers of models, and their charges."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from local.stack import LocalStack
from opencode_cloud.contracts.access import KnownWorkspace
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import DAY_SECONDS, day_of, now_seconds
from opencode_cloud.schema.usage_events import from_row, partition
from tests.integration.people import People, Person
from tests.waiting import PATIENCE, until

from .scripts import Script
from .sdks import SDKS, Question, Sdk
from .server import Upstreams, running

Json = dict[str, Any]
REQUEST = "x-opencode-request"
"""The header with the tag of a script. Tests find the usage event by it."""
PROVIDER = "opencode-cloud"
CENTS_A_MILLION = {"input": 100, "output": 1000, "cache_read": 10, "cache_write": 125}
"""Prices of all scripted models, in cents per million tokens."""
TIMERS = {"connect": 2.0, "first_byte": 4.0, "between_chunks": 3.0, "total": 12.0}
"""Timers in seconds: short enough for tests, and longer than an answer takes on a busy machine."""
PATIENT = {"connect": PATIENCE, "first_byte": PATIENCE, "between_chunks": PATIENCE, "total": PATIENCE}
UPSTREAM_OF = {"chat": "chat", "responses": "openai", "messages": "anthropic", "generate": "google"}
"""The upstream of each format that speaks only this format."""


def model_of(format_: str) -> str:
    """Return the model whose only upstream speaks a format."""
    return f"scripted-{format_}"


def cost_of(event: UsageEvent) -> int:
    """Return the expected cost of an event, in micro-cents, at the prices above."""
    used, cents = event.tokens, CENTS_A_MILLION
    kinds = ("input", "output", "cache_read", "cache_write")
    return -(-sum(getattr(used, kind) * cents[kind] * 1_000_000 for kind in kinds) // 1_000_000)


@dataclass
class Shop:
    """A workspace with an owner and a key for model calls."""

    world: World
    owner: Person
    workspace: str
    key: str
    key_id: str

    @property
    def path(self) -> str:
        """Path of the workspace's resources."""
        return f"/api/v1/workspaces/{self.workspace}"

    def known(self) -> KnownWorkspace:
        """Return the workspace as the gateway reads it. A change over HTTP appears in it a moment later."""
        key = {"pk": {"S": f"workspace#{self.workspace}"}, "sk": {"S": "WORKSPACE"}}
        table = self.world.stack.outputs["AccessTableName"]
        row = self.world.stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)
        return msgspec.json.decode(row["Item"]["value"]["S"], type=KnownWorkspace)

    def sdk(self, format_: str, key: str = "", **headers: str) -> Sdk:
        """Return the SDK that speaks a format, connected to the gateway."""
        return SDKS[format_](f"{self.world.stack.url}/zen", key or self.key, **headers)

    def rows(self) -> list[Json]:
        """Return the rows of the workspace's calls since yesterday, oldest first: midnight may have passed."""
        now, client = now_seconds(), self.world.stack.client("dynamodb")
        pages = [
            client.get_paginator("query").paginate(
                TableName=self.world.stack.outputs["UsageTableName"],
                KeyConditionExpression="pk = :day",
                ExpressionAttributeValues={":day": {"S": partition(WorkspaceId(self.workspace), day_of(at))}},
                ConsistentRead=True,
            )
            for at in (now - DAY_SECONDS, now)
        ]
        return [row for day in pages for page in day for row in page["Items"]]

    def events(self) -> list[UsageEvent]:
        """Return the usage events, as the gateway wrote them, oldest first."""
        return [from_row(row) for row in self.rows()]

    def events_after(self, before: int, count: int) -> list[UsageEvent]:
        """Wait for ``count`` events after the first ``before``, and return them; fails if there are more.

        A client can receive its last event before the call is settled.
        """
        until(lambda: len(self.events()) >= before + count)
        found = self.events()[before:]
        assert len(found) == count, [(each.model, each.outcome, each.error) for each in found]
        return found

    def event(self, script: Script) -> UsageEvent:
        """Wait for the one event of the calls with a script, and return it; fails if there are several."""
        found = until(lambda: self.events_of(script))
        assert len(found) == 1, found
        return found[0]

    def events_of(self, script: Script) -> list[UsageEvent]:
        """Return the events of the calls with a script."""
        return [event for event in self.events() if event.request == script.tag]

    def post(self, path: str, body: Json, headers: Json | None = None, timeout: float = PATIENCE) -> httpx.Response:
        """Post to the gateway with the key as bearer, or with other headers instead."""
        sent = {"authorization": f"Bearer {self.key}"} if headers is None else headers
        return httpx.post(f"{self.world.stack.url}{path}", json=body, headers=sent, timeout=timeout)


@dataclass
class World:
    """The stage and the upstreams behind it."""

    stack: LocalStack
    upstreams: Upstreams
    people: People = field(init=False)

    def __post_init__(self) -> None:
        self.people = People(self.stack)
        self._closed = socket.socket()
        """Bound without listening: its port refuses connections, and no other program can take it."""
        self._closed.bind(("127.0.0.1", 0))

    def shop(self, email: str = "") -> Shop:
        """Create a workspace."""
        owner = self.people.somebody(email)
        workspace = owner.found()
        made = owner.http.post(
            f"/api/v1/workspaces/{workspace}/keys", json={"name": "models", "scopes": ["inference"]}
        ).json()
        return Shop(self, owner, workspace, made["secret"], made["id"])

    def begin(self, **models: Json) -> None:
        """Publish the catalogue with further ``models``, and the keys of its upstreams. Restart the gateway."""
        names = ("openai", "anthropic", "google", "chat")
        self.stack.client("secretsmanager").put_secret_value(
            SecretId=self.stack.outputs["UpstreamKeysSecretArn"],
            SecretString=json.dumps({name: f"key-of-{name}" for name in names}),
        )
        document = self.catalogue()
        document["models"] |= models
        said = self.operate({"type": "catalogue", "action": "publish", "document": json.dumps(document)})
        assert "error" not in said, said
        self.stack.gateway.program.stop()
        self.stack.start_gateway()

    def operate(self, command: Json) -> Json:
        """Execute an operator's command."""
        invocation = {"operator": "arn:aws:iam::000000000000:user/tests", "command": command}
        said = self.stack.client("lambda").invoke(
            FunctionName=self.stack.outputs["OperateFunctionName"],
            Qualifier="live",
            Payload=json.dumps(invocation).encode(),
        )
        return json.load(said["Payload"])

    def catalogue(self) -> Json:
        """Return the catalogue document: a model for each format, and models with several routes."""
        models = {
            model_of(format_): _model(format_, {"upstream": upstream, "model": "m", "formats": [format_]})
            for format_, upstream in UPSTREAM_OF.items()
        }
        models[model_of("chat")]["aliases"] = ["scripted-alias"]
        # The gateway remembers for minutes what an upstream refuses for a model, so it is a model of its own.
        models[model_of("few")] = _model("chat", {"upstream": "chat", "model": "few", "formats": ["chat"]})
        models["scripted-bedrock"] = _model("messages", {"upstream": "bedrock", "model": "anthropic.scripted-v1:0"})
        for format_, upstream in UPSTREAM_OF.items():
            first = {"upstream": upstream, "model": "m", "formats": [format_], "priority": 1}
            models[f"steady-{format_}"] = _model(format_, first, {"upstream": "second", "model": "m", "priority": 2})
        models["patient"] = _model("chat", {"upstream": "patient", "model": "m"})
        models["unreachable"] = _model("chat", {"upstream": "closed", "model": "m"})
        models["unreachable-first"] = _model(
            "chat", {"upstream": "closed", "model": "m"}, {"upstream": "second", "model": "m", "priority": 2}
        )
        return {"upstreams": self._upstreams(), "models": models, "small_model": model_of("chat")}

    def _upstreams(self) -> Json:
        base = self.upstreams.base
        addresses = {
            "chat": ("openai-compatible", base("chat")),
            "second": ("openai-compatible", base("second")),
            "patient": ("openai-compatible", base("patient")),
            "closed": ("openai-compatible", f"http://127.0.0.1:{self._closed.getsockname()[1]}/v1"),
            "openai": ("openai", base("openai")),
            "anthropic": ("anthropic", base("anthropic")),
            "google": ("google", base("google", "/v1beta")),
            "bedrock": ("bedrock", base("bedrock", "")),
        }
        return {
            name: {
                "kind": kind,
                "name": name.capitalize(),
                "base_url": url,
                "timers": PATIENT if name == "patient" else TIMERS,
            }
            for name, (kind, url) in addresses.items()
        }


def ask(sdk: Sdk, model: str, script: Script, *, stream: bool = True, **more: Any) -> Any:
    """Call a model with a script. The usage event carries the script's tag."""
    return sdk.ask(model, Question(script.prompt(), headers={REQUEST: script.tag}, **more), stream=stream)


@contextmanager
def world_on(stack: LocalStack) -> Iterator[World]:
    """Run scripted upstreams and point the stage's gateway to them."""
    with running() as upstreams:
        world = World(stack, upstreams)
        world.begin()
        yield world


def _model(format_: str, *routes: Json) -> Json:
    price = {name: f"{cents / 100:.2f}" for name, cents in CENTS_A_MILLION.items()}
    return {
        "name": "Scripted",
        "format": format_,
        "limits": {"context": 200_000, "output": 8_000},
        "prices": [{"from": "2026-01-01T00:00:00Z", **price}],
        "routes": list(routes),
        "tokenizer": "o200k_base",
        "listing": {"attachment": True, "modalities": {"input": ["text", "image"]}},
    }
