"""Rigs of one model with upstreams by name, their scripts, and what came of a call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from opencode_cloud.catalogue.models import Route, Timers
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.gateway.models import AttemptFailed, UpstreamTarget
from opencode_cloud.kit.errors import ServiceError
from tests.unit.gateway.calling import Connection, Rig, Scripted
from tests.unit.gateway.catalogues import catalogue, model, upstream
from tests.waiting import PATIENCE

PATIENT = Timers(connect=PATIENCE, first_byte=PATIENCE, between_chunks=PATIENCE, total=PATIENCE)
"""No test that an upstream answers depends on the speed of the machine."""
QUICK = Timers(connect=0.2, first_byte=0.2, between_chunks=0.3, total=5)
"""For tests of upstreams that do not answer in time."""
REFUSAL = b'{"error":{"message":"no such parameter","type":"invalid_request_error","code":"bad"}}'
ROLE = {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
FINISH = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
CHOICE = {"index": 0, "finish_reason": "error", "message": {"role": "assistant", "content": ""}}
MESSAGE = json.dumps(
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
).encode()
Script = Callable[[UpstreamTarget], Scripted | AttemptFailed]


def rig(script: Script, *names: str, timers: Timers = PATIENT, **changes: Any) -> Rig:
    names = names or ("a",)
    routes = [Route(upstream=name, model=f"m-{name}", priority=n) for n, name in enumerate(names)]
    return Rig(catalogue(model(*routes, **changes), **{name: upstream(timers=timers) for name in names}), script)


def in_turn(*answers: Scripted | AttemptFailed) -> Script:
    left = list(answers)
    return lambda _target: left.pop(0)


def said(code: str, message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "error", "code": code}}).encode()


def by_name(**answers: Callable[[], Scripted | AttemptFailed]) -> Script:
    return lambda target: answers[target.id]()


def refused(status: int, body: bytes = REFUSAL, retry_after: float | None = None) -> Scripted:
    return Scripted((body,), status, "application/json", retry_after)


async def error(work: Any) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        await work
    return raised.value


async def serve(found: Rig, **body: Any) -> None:
    """Make a call without a header that names a session."""
    await found.calls.serve(found.incoming(session="", **body), Connection())


def only(found: Rig) -> UsageEvent:
    [event] = found.ledger.events
    assert found.told == [(event, True)]
    return event
