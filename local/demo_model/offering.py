"""Offer the scripted model in the catalogue of the running stage, as an operator does it, and take it back.

Only a stage on this machine can get it: nothing outside `local` knows of it, and its address is that of this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from local import provider_keys
from local.demo_model.answers import MODEL, SMALL_MODEL
from local.demo_model.client import DemoModel
from local.demo_model.server import CONTEXT, PACE_SECONDS
from local.stack import LocalStack

UPSTREAM = "demo-model"
LONGEST_OUTPUT = 8_000
COMMENT = "The scripted model of this machine"
_MARK = "demo-model.json"
_PRICES: Mapping[str, tuple[str, dict[str, str]]] = {
    MODEL: ("Scripted", {"input": "1.00", "output": "5.00", "cache_read": "0.10"}),
    SMALL_MODEL: ("Scripted Mini", {"input": "0.10", "output": "0.50", "cache_read": "0.01"}),
}
"""Name, and dollars for a million tokens, by model."""


class OfferRefused(Exception):
    """The stage did not take the catalogue with the scripted model. The message says why."""


class Offer(msgspec.Struct, frozen=True):
    """The facts about the model that the catalogue has."""

    url: str
    """The base URL of its API."""
    writes_titles: bool
    """True if clients use the small model for titles, because no other model answers."""


def start(stack: LocalStack, *, demo: bool, keys: bool, pace: float = PACE_SECONDS) -> DemoModel | None:
    """Start the model and offer it on the running `stack`; return None if the stage does not need it.

    It is needed by a demo, by a stage without keys of providers, and where it was offered before.

    Raises:
        OfferRefused: The catalogue is not valid with it.
        ProgramFailed: It did not start.
    """
    before = _read(stack)
    if not (demo or not keys or before):
        return None
    model = DemoModel(stack.state, stack.root)
    model.start((urlsplit(before.url).port or 0) if before else 0, pace)
    try:
        _offer(stack, before, Offer(model.url, writes_titles=not keys))
    except BaseException:
        model.program.stop()
        raise
    return model


def _offer(stack: LocalStack, before: Offer | None, offered: Offer) -> None:
    """Publish the catalogue with the model. A later catalogue of an operator without the model stays as it is."""
    if offered == before:
        return
    document = _operate(stack, action="export")
    if before is None or UPSTREAM in document["upstreams"]:
        _operate(stack, action="publish", document=json.dumps(with_model(document, offered)), comment=COMMENT)
    # The gateway calls no upstream without a key. The model does not look at it.
    provider_keys.store(stack, {UPSTREAM: "no-secret"})
    _mark(stack).write_bytes(msgspec.json.encode(offered))


def with_model(document: Mapping[str, Any], offered: Offer) -> dict[str, Any]:
    """Return a catalogue document with the model, at its present address."""
    upstream = {"kind": "openai-compatible", "name": "This machine", "base_url": offered.url, "byok": False}
    models = dict(document.get("models", {}))
    for model, (name, rates) in _PRICES.items():
        models.setdefault(model, _entry(model, name, rates))
    changed = {**document, "upstreams": {**document.get("upstreams", {}), UPSTREAM: upstream}, "models": models}
    if offered.writes_titles:
        changed.setdefault("small_model", SMALL_MODEL)
    elif changed.get("small_model") == SMALL_MODEL:
        del changed["small_model"]
    return changed


def _entry(model: str, name: str, rates: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "format": "chat",
        "family": "demo",
        "limits": {"context": CONTEXT, "output": LONGEST_OUTPUT},
        "prices": [{"from": "2026-01-01T00:00:00Z", **rates}],
        "routes": [{"upstream": UPSTREAM, "model": model}],
        "listing": {"tool_call": True, "temperature": True, "release_date": "2026-01-01"},
    }


def _operate(stack: LocalStack, **command: str) -> Any:
    """Execute an operator's command of the catalogue; return its answer."""
    invocation = {
        "operator": "arn:aws:iam::000000000000:user/make-dev",
        "command": {"type": "catalogue", **command},
    }
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["OperateFunctionName"],
        Qualifier="live",
        Payload=json.dumps(invocation).encode(),
    )
    said = json.load(answer["Payload"])
    if "result" not in said:
        raise OfferRefused(f"The scripted model could not be put into the catalogue: {said}")
    return said["result"]


def _read(stack: LocalStack) -> Offer | None:
    """Return what was offered at an earlier start."""
    mark = _mark(stack)
    return msgspec.json.decode(mark.read_bytes(), type=Offer) if mark.exists() else None


def _mark(stack: LocalStack) -> Path:
    return stack.state / _MARK
