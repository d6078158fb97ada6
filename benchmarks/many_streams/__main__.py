"""Many fast streams at once: `python -m benchmarks.many_streams URL RESULT.json`, in a stage's environment.

In turn: the provider itself, our gateway, LiteLLM's proxy; the two with as many processes as the machine has cores.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks import litellm_proxy
from benchmarks.gateway_stage import gateways, prepare
from benchmarks.many_streams.clients import Arrived, run
from benchmarks.many_streams.pieces import Plan
from benchmarks.processes import server, tree_seconds
from benchmarks.summary import NANOSECONDS, milliseconds

SETTLE_SECONDS = 30.0
IDLE_PERCENT = 10.0
DIRECT, OURS, THEIRS = "direct", "ours", "LiteLLM"
Json = dict[str, Any]
Where = tuple[str, dict[str, str], int]
"""The URL of Chat Completions, the headers of a call, and the process that has all processes of the server."""
Start = Callable[[str, Path], AbstractContextManager[Where]]
"""Starts a server before a provider's URL, with a folder for its files."""


def main() -> None:
    """Measure; write the result as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_streams", description=__doc__)
    parser.add_argument("url", help="where the deployed local stage answers")
    parser.add_argument("result", type=Path)
    parser.add_argument("--only", choices=(DIRECT, OURS, THEIRS), help="measure one of them")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    plan, processes = Plan(), os.cpu_count() or 1
    starts: dict[str, Start] = {
        DIRECT: _direct,
        OURS: lambda provider_url, folder: _ours(arguments.url, provider_url, folder, processes),
        THEIRS: lambda provider_url, folder: _litellm(provider_url, folder, processes),
    }
    found: dict[str, list[Json]] = {}
    for name, start in starts.items():
        if arguments.only in (None, name):
            rounds = 1 if name == THEIRS else arguments.rounds
            found[name] = list(_measured(start, plan, rounds))
    result = {"plan": asdict(plan), "processes": processes, "litellm": litellm_proxy.version(), "rounds": found}
    arguments.result.write_text(json.dumps(result, indent=1))


def _measured(start: Start, plan: Plan, rounds: int) -> Iterator[Json]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, headers, pid = stack.enter_context(start(stack.enter_context(_provider(plan)), folder))
        for _ in range(rounds):
            _wait_until_idle()
            before = tree_seconds(pid)
            arrived = uvloop.run(run(url, headers, plan))
            yield {**_summary(arrived, plan), "cpu_ms_per_stream": (tree_seconds(pid) - before) * 1000 / plan.streams}


def _wait_until_idle() -> None:
    """Wait for what the stage does with settled calls, which is not the gateway's work."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while psutil.cpu_percent(interval=0.5) > IDLE_PERCENT and time.monotonic() < deadline:
        pass


def _provider(plan: Plan) -> AbstractContextManager[str]:
    return server("benchmarks.many_streams.provider", plan.streams, plan.pieces, plan.pause, plan.spread)


@contextmanager
def _direct(provider_url: str, _folder: Path) -> Iterator[Where]:
    yield f"{provider_url}/v1/chat/completions", {}, os.getpid()


@contextmanager
def _ours(url: str, provider_url: str, folder: Path, processes: int) -> Iterator[Where]:
    prepared = prepare(url, provider_url)
    with gateways(folder, 1, workers=processes) as (server,):
        yield f"{server.url}/zen/v1/chat/completions", prepared.headers, server.program.pid or 0


@contextmanager
def _litellm(provider_url: str, folder: Path, processes: int) -> Iterator[Where]:
    litellm_proxy.build()
    with litellm_proxy.proxy(f"{provider_url}/v1", folder, workers=processes) as proxy:
        headers = {"authorization": f"Bearer {litellm_proxy.MASTER_KEY}"}
        yield f"{proxy.url}/v1/chat/completions", headers, proxy.pid


def _summary(arrived: Arrived, plan: Plan) -> Json:
    stalls = sum(late > plan.stall_ms * NANOSECONDS for late in arrived.late)
    return {
        "pieces": milliseconds(arrived.late),
        "stalls": stalls,
        "ended": arrived.ended,
        "failed": len(arrived.failed),
        "first_failure": next(iter(arrived.failed), ""),
    }


if __name__ == "__main__":
    main()
