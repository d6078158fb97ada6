"""The storm: callers that call at once, leave, and lose a process; then one caller that uses up the rest."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks.torture.provider import INPUT_PRICE, MODEL, OUTPUT_PRICE, Fate, Provider, prompt_of

CALLS = 500
LIMIT = 100_000_000
"""US$1 in micro-cents."""
SMALL_PIECES = 4
MOST_SMALL_CALLS = 2000
"""More than a dollar pays."""
SETTLE_SECONDS = 20.0
"""The longest wait for a gateway to book what has ended."""
_FATES = (Fate.WELL,) * 5 + (Fate.CANCELLED,) * 2 + (Fate.EARLY,) * 2 + (Fate.CUT,)


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A gateway of three processes, with a budget of US$1 for the key of the headers."""

    name: str
    urls: Sequence[str]
    """The base URL of each process, with the version."""
    headers: Mapping[str, str]
    kill: Callable[[], None]
    """Kills the last process with SIGKILL."""
    booked: Callable[[], Awaitable[tuple[int, int]]]
    """Returns the spent amount and the amount held for calls, in micro-cents; 0 if one counter has both."""
    expire: Callable[[], Awaitable[None]] | None = None
    """Ends the leases of killed calls; None: the gateway has none."""


@dataclass
class Heard:
    """The answers that the callers got."""

    statuses: Counter[str] = field(default_factory=Counter[str])


async def storm(http: aiohttp.ClientSession, gateway: Gateway, provider: Provider, seed: int) -> dict[str, Any]:
    """Run the storm against one gateway; return its figures in micro-cents and calls."""
    chance, heard = random.Random(seed), Heard()
    fates = [chance.choice(_FATES) for _ in range(CALLS)]
    began = asyncio.get_running_loop().time()
    work = [
        asyncio.create_task(_call(http, gateway, number, fate, chance.randint(20, 120), heard))
        for number, fate in enumerate(fates)
    ]
    killed = asyncio.create_task(_kill(gateway, provider))
    await asyncio.gather(*work)
    await killed
    seconds = asyncio.get_running_loop().time() - began
    spent, held = await _settled(gateway, provider)
    found: dict[str, Any] = {
        "calls": CALLS,
        "seconds": round(seconds, 1),
        "statuses": dict(heard.statuses.most_common()),
        "bill_after_storm": provider.bill,
        "booked_after_storm": spent,
        "leaked": held if gateway.expire is not None else max(0, spent - provider.bill),
    }
    if gateway.expire is not None:
        await gateway.expire()
        found["leaked_after_leases"] = (await gateway.booked())[1]
    return found | await _use_up(http, gateway, provider)


async def _call(
    http: aiohttp.ClientSession, gateway: Gateway, number: int, fate: Fate, pieces: int, heard: Heard
) -> None:
    """Make one call. Every second one has no ``max_tokens``."""
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt_of(fate, pieces)}],
        "stream": True,
    }
    if number % 2:
        body["max_tokens"] = 150
    url = gateway.urls[number % len(gateway.urls)]
    try:
        async with http.post(f"{url}/chat/completions", json=body, headers=gateway.headers) as answer:
            left = pieces // 2 if fate is Fate.CANCELLED else None
            async for line in answer.content:
                if left is not None and b"word" in line:
                    left -= 1
                    if left <= 0:
                        heard.statuses["left"] += 1
                        return
            heard.statuses[str(answer.status)] += 1
    except (aiohttp.ClientError, ConnectionError):
        heard.statuses["connection lost"] += 1


async def _kill(gateway: Gateway, provider: Provider) -> None:
    """Kill a process while calls of all processes run."""
    deadline = asyncio.get_running_loop().time() + 60
    while provider.running < len(gateway.urls) * 2 and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    gateway.kill()


async def _settled(gateway: Gateway, provider: Provider) -> tuple[int, int]:
    """Wait until nothing runs and the books no longer change; return what is booked and what is held."""
    before, now = (-1, -1), (0, 0)
    for _ in range(int(SETTLE_SECONDS)):
        await asyncio.sleep(1)
        before, now = now, await gateway.booked()
        if before == now and not provider.running:
            break
    return now


async def _use_up(http: aiohttp.ClientSession, gateway: Gateway, provider: Provider) -> dict[str, Any]:
    """Make one small call after the other until the gateway refuses; count refusals that are wrong by the true bill."""
    prompt = prompt_of(Fate.WELL, SMALL_PIECES)
    worst = len(prompt) * INPUT_PRICE + SMALL_PIECES * OUTPUT_PRICE  # a byte is a token at most
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "max_tokens": SMALL_PIECES,
    }
    admitted = refused = 0
    while refused < 3 and admitted < MOST_SMALL_CALLS:
        try:
            async with http.post(f"{gateway.urls[0]}/chat/completions", json=body, headers=gateway.headers) as answer:
                await answer.read()
                admitted, refused = (admitted + 1, 0) if answer.status == 200 else (admitted, refused + 1)
        except aiohttp.ClientError:  # a server may close a connection that is kept open
            refused += 1
        await asyncio.sleep(0.2 if refused else 0)
    spent, _ = await _settled(gateway, provider)
    return {
        "calls_after_storm": admitted,
        "bill": provider.bill,
        "booked": spent,
        "overspend": max(0, provider.bill - LIMIT),
        "calls_refused_falsely": max(0, LIMIT - provider.bill) // worst,
    }
