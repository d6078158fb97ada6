"""The load generator measures delays correctly, with an upstream that reports the time of each piece."""

import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from benchmarks import gateway_load
from benchmarks.gateway_load import Target, memory_per_stream, short_calls, streams
from tests.upstreams import Upstreams, running

MILLISECONDS = 1_000_000


@pytest.fixture
async def target() -> AsyncIterator[tuple[Upstreams, Target]]:
    with running() as upstreams:
        yield upstreams, Target("direct", upstreams.base("one"), {}, "m")


async def test_streams_are_timed_from_the_request_and_from_each_sending(
    target: tuple[Upstreams, Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    upstreams, direct = target
    monkeypatch.setattr(gateway_load, "WORDS", 4)
    async with aiohttp.ClientSession() as http:
        found = await streams(http, direct, 2, 1.0)
    assert found.failed == []
    assert len(found.pieces) == 3 * len(found.first)
    assert len(found.first) == len(upstreams.records)
    assert 0 < sorted(found.pieces)[len(found.pieces) // 2] < 10_000 * MILLISECONDS
    assert -10 * MILLISECONDS < min(found.first) < 10_000 * MILLISECONDS


async def test_short_calls_are_counted(target: tuple[Upstreams, Target]) -> None:
    upstreams, direct = target
    began = time.monotonic()
    async with aiohttp.ClientSession() as http:
        rate = await short_calls(http, direct, 3, 0.3)
    assert rate.calls == len(upstreams.records) >= 3
    assert rate.seconds <= time.monotonic() - began
    assert rate.failed == []


async def test_slow_streams_are_held_open_and_left(target: tuple[Upstreams, Target]) -> None:
    upstreams, direct = target
    async with aiohttp.ClientSession() as http:
        await memory_per_stream(http, direct, 5)
    assert len(upstreams.records) == 5
