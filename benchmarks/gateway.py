"""The model gateway beside LiteLLM's proxy: `python -m benchmarks.gateway URL RESULT.json --gateway URL --pids 1,2`.

Both stand before the same scripted upstream (tests/upstreams), on the same machine, and are measured in turn by one
client, which also asks the upstream directly. A process of its own, with the environment of the deployed gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import uvloop

from benchmarks.gateway_calls import Counted
from benchmarks.gateway_load import Streamed, Target, memory_per_stream, short_calls, streams
from benchmarks.gateway_probe import probe
from benchmarks.gateway_stage import MODEL, UPSTREAM, Prepared, prepare
from benchmarks.litellm_proxy import MASTER_KEY, Proxy, build, import_ms, proxy
from benchmarks.litellm_proxy import MODEL as LITELLM_MODEL
from benchmarks.processes import server
from benchmarks.summary import milliseconds
from tests.upstreams import Script

Json = dict[str, Any]
SHORT_CALLS_AT_ONCE = 8
WARM_UP_SECONDS = 3.0
OURS = "ours"


def main() -> None:
    """Measure; write the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where the deployed local stage answers")
    parser.add_argument("result", type=Path)
    parser.add_argument("--count", action="store_true", help="count the AWS calls of a model call, and measure nothing")
    parser.add_argument("--gateway", default="", help="URL of the gateway itself")
    parser.add_argument("--pids", default="", help="process ids of the gateway, separated by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--slow-streams", type=int, default=500)
    arguments = parser.parse_args()
    if arguments.count:
        with upstream() as upstream_url:
            counted = uvloop.run(_count(prepare(arguments.url, upstream_url)))
        arguments.result.write_text(json.dumps(counted, indent=1))
        return
    build()
    with tempfile.TemporaryDirectory() as folder, upstream() as upstream_url:
        prepared = prepare(arguments.url, upstream_url)
        with proxy(f"{upstream_url}/{UPSTREAM}/v1", Path(folder)) as beside:
            result = uvloop.run(_measure(arguments, prepared, upstream_url, beside))
    result["litellm"] |= {"import_ms": round(import_ms(), 1)}
    arguments.result.write_text(json.dumps(result, indent=1))


def upstream() -> AbstractContextManager[str]:
    """Run the scripted upstreams in a process of their own, and yield their URL."""
    return server("tests.upstreams")


async def _measure(arguments: argparse.Namespace, prepared: Prepared, upstream_url: str, beside: Proxy) -> Json:
    pids = tuple(int(pid) for pid in arguments.pids.split(","))
    key = {"authorization": f"Bearer {MASTER_KEY}"}
    direct = Target("direct", f"{upstream_url}/{UPSTREAM}/v1", {}, MODEL)
    ours = Target(OURS, f"{arguments.gateway}/zen/v1", prepared.headers, MODEL, pids)
    theirs = Target("LiteLLM", f"{beside.url}/v1", key, LITELLM_MODEL, (beside.pid,))
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http:
        for target in (direct, ours, theirs):  # exclude imports and connections of the first calls
            await streams(http, target, 10, WARM_UP_SECONDS)
        idle = ours.resident_mb()
        latency = await _latencies(http, (direct, ours, theirs), arguments)
        rates = await _rates(http, (ours, theirs), arguments)
        memory = {each.name: await memory_per_stream(http, each, arguments.slow_streams) for each in (ours, theirs)}
    return {
        "plan": {name: getattr(arguments, name) for name in ("rounds", "seconds", "concurrency")},
        "latency": latency,
        "short_calls": rates,
        "memory": memory,
        "idle_mb": round(idle, 1),
        "litellm": {"version": beside.version, "start_ms": beside.start_ms, "idle_mb": beside.idle_mb},
        "calls": await _count(prepared),
    }


async def _latencies(http: aiohttp.ClientSession, targets: Sequence[Target], arguments: argparse.Namespace) -> Json:
    """Measure each target in each round, and return the medians of the rounds' percentiles by target.

    While ours is measured, a bare client makes the emulator's calls that ours makes before the first byte.
    """
    found: dict[str, list[Streamed]] = {target.name: [] for target in targets}
    emulator: list[dict[str, float]] = []
    for _ in range(arguments.rounds):
        for target in targets:
            until = time.monotonic() + arguments.seconds
            probing = asyncio.create_task(probe(until)) if target.name == OURS else None
            found[target.name].append(await streams(http, target, arguments.concurrency, arguments.seconds))
            if probing is not None:
                emulator.append(milliseconds(await probing))
    return {name: _summary(rounds) for name, rounds in found.items()} | {"emulator": {"first": _medians(emulator)}}


def _summary(rounds: Sequence[Streamed]) -> Json:
    failed = [failure for each in rounds for failure in each.failed]
    if failed:
        raise RuntimeError(f"{len(failed)} streams failed, the first with: {failed[0]}")
    calls = sum(len(each.first) for each in rounds)
    return {
        "calls": calls,
        "first": _medians([milliseconds(each.first) for each in rounds]),
        "pieces": _medians([milliseconds(each.pieces) for each in rounds]),
        "cpu_ms_per_call": round(sum(each.cpu_seconds for each in rounds) * 1000 / calls, 2),
    }


def _medians(rounds: Sequence[dict[str, float]]) -> Json:
    names = ("p50_ms", "p99_ms", "max_ms")
    each = {name: [figures[name] for figures in rounds] for name in names}
    return {name: round(median(values), 2) for name, values in each.items()} | {"rounds_p99_ms": each["p99_ms"]}


async def _rates(http: aiohttp.ClientSession, targets: Sequence[Target], arguments: argparse.Namespace) -> Json:
    found: dict[str, list[Json]] = {target.name: [] for target in targets}
    for _ in range(arguments.rounds):
        for target in targets:
            rate = await short_calls(http, target, SHORT_CALLS_AT_ONCE, arguments.seconds / 2)
            if rate.failed:
                raise RuntimeError(f"{target.name}: {len(rate.failed)} calls failed, the first with: {rate.failed[0]}")
            each = {"per_second": rate.calls / rate.seconds, "per_core_second": rate.calls / rate.cpu_seconds}
            found[target.name].append(each)
    names = ("per_second", "per_core_second")
    return {
        who: {name: round(median(each[name] for each in rounds), 1) for name in names} for who, rounds in found.items()
    }


async def _count(prepared: Prepared) -> Json:
    """Count the AWS calls of one model call, after the calls that a process makes only once."""
    counted = Counted(prepared.headers)
    body: Json = {
        "model": MODEL,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": Script(say="Yes.").prompt()}],
    }
    async with counted.serving():
        cold = await counted.call(body)
        await counted.call(body)
        warm = {
            "not streamed": await counted.call(body),
            "streamed": await counted.call({**body, "stream": True}),
        }
    return {"first of a process": cold, **warm}


if __name__ == "__main__":
    main()
