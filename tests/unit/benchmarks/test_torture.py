"""The torture's provider bills what it generated, and the storm counts by that bill."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from benchmarks.torture import storm as module
from benchmarks.torture.provider import INPUT_PRICE, MODEL, OUTPUT_PRICE, Fate, Provider, prompt_of, provider
from benchmarks.torture.storm import LIMIT, Gateway, storm
from benchmarks.torture.table import table


async def _ask(http: aiohttp.ClientSession, served: Provider, fate: Fate, pieces: int, leave_after: int = 0) -> bytes:
    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt_of(fate, pieces)}], "stream": True}
    found = b""
    async with http.post(f"{served.url}/chat/completions", json=body) as answer:
        try:
            async for line in answer.content:
                found += line
                if leave_after and found.count(b"word") >= leave_after:
                    break
        except aiohttp.ClientError:
            found += b"broken"
    return found


async def _quiet(served: Provider) -> None:
    while served.running:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.torture.provider.PAUSE_SECONDS", 0.001)


async def test_the_provider_bills_the_prompt_and_the_generated_pieces() -> None:
    prompt = len(prompt_of(Fate.WELL, 10)) // 5 * INPUT_PRICE
    async with provider() as served, aiohttp.ClientSession() as http:
        assert b"[DONE]" in await _ask(http, served, Fate.WELL, 10)
        assert served.bill == prompt + 10 * OUTPUT_PRICE
        before = served.bill
        assert b"No capacity" in await _ask(http, served, Fate.EARLY, 10)
        assert served.bill == before
        assert b"[DONE]" not in await _ask(http, served, Fate.CUT, 10)
        await _quiet(served)
        assert before < served.bill < 2 * before
        before = served.bill
        await _ask(http, served, Fate.CANCELLED, 1000, leave_after=3)
        await _quiet(served)
        assert served.bill < before + prompt + 1000 * OUTPUT_PRICE


def gateway_of(served: Provider, booked: Callable[[], Awaitable[tuple[int, int]]]) -> Gateway:
    return Gateway(name="none", urls=[served.url], headers={}, kill=lambda: None, booked=booked)


async def test_a_gateway_without_budgets_overspends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALLS", 30)
    monkeypatch.setattr(module, "LIMIT", LIMIT // 100)
    monkeypatch.setattr(module, "SETTLE_SECONDS", 2)
    monkeypatch.setattr(module, "MOST_SMALL_CALLS", 3)
    async with provider() as served, aiohttp.ClientSession() as http:

        async def booked() -> tuple[int, int]:
            return served.bill + 5, 0

        found = await storm(http, gateway_of(served, booked), served, 1)
    assert found["overspend"] > 0
    assert (found["leaked"], found["calls_refused_falsely"]) == (5, 0)
    assert sum(found["statuses"].values()) == 30
    shown = table([{"name": "none", **found}])
    assert shown.startswith("|  | none |")
    assert "US$0.0000" in shown
