"""Fixtures of the gateway's tests."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from opencode_cloud.catalogue.models import Route
from opencode_cloud.gateway.routes import Gateway
from opencode_cloud.gateway.service import token_bounds
from opencode_cloud.kit.event_loop import LONGEST_STEP_SECONDS
from opencode_cloud.kit.tls import trusting
from tests.machine import slowness
from tests.unit.gateway.asking import LIMIT, Seen, nothing
from tests.unit.gateway.calling import COMPLETION, Rig, Scripted
from tests.unit.gateway.catalogues import catalogue, model, upstream


@pytest.fixture(autouse=True)
def named_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the namespace of metrics, as a deployed function does."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")


@pytest.fixture(scope="session")
def _warm() -> None:
    """Do what the gateway does as it starts."""
    token_bounds.warm_up()
    trusting()


@pytest.fixture(autouse=True)
def swift_steps(_warm: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which one step of an event loop holds up the others. Only processor time of this machine counts.

    Garbage is not collected meanwhile: a collection takes a second in a process that has run thousands of tests.
    """
    slow: list[tuple[float, str]] = []
    run = asyncio.Handle._run  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        took = time.thread_time() - began
        if took > LONGEST_STEP_SECONDS:
            slow.append((took, f"{took * 1000:.0f} ms: {handle!r}"))

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    gc.disable()
    yield
    gc.enable()
    longest = LONGEST_STEP_SECONDS * slowness() if slow else 0.0
    assert [text for took, text in slow if took > longest] == []


@pytest.fixture
def rig() -> Rig:
    found = catalogue(model(Route(upstream="a", model="m"), aliases=("vendor-m1",)), a=upstream())
    return Rig(found, lambda _: Scripted((COMPLETION,), 200, "application/json"))


@pytest.fixture
def seen(rig: Rig) -> Seen:
    return Seen(rig)


@pytest.fixture
def app(seen: Seen) -> Any:
    rules: Any = seen
    return Gateway(rules, rules, longest_body=LIMIT).app(nothing)


@pytest.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client
