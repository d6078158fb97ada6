"""Invariant I6: whatever calls, processes and crashes do at once, no budget is overrun, none is refused falsely, and
nothing that a crash held back is lost for longer than its lease."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from typing import Any

import msgspec

from opencode_cloud.budgets.service import LeaseReaper, Reservations
from opencode_cloud.contracts.budgets import BudgetScope
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.schema.usage_events import from_row
from tests.emulator.budgets.calls import Caller, budget
from tests.emulator.budgets.conftest import Tables
from tests.ministack import ROOT

CALLS, PROCESSES, KILLED = 500, 5, 2
CLAIM = DOLLAR // 100
PATHS = os.pathsep.join(str(ROOT / each) for each in (".", "layers/core"))


async def test_five_hundred_calls_in_processes_that_are_killed_cannot_overrun_a_dollar(tables: Tables) -> None:
    caller = Caller(
        workspace=(budget(BudgetScope.WORKSPACE, DOLLAR),),
        member=(budget(BudgetScope.MEMBER, DOLLAR),),
        key=(budget(BudgetScope.KEY, DOLLAR),),
        at=int(time.time()),
    )
    deaths = [random.randint(5, 20) for _ in range(KILLED)] + [None] * (PROCESSES - KILLED)
    processes = [await _start(tables, caller, seed, dies=death is not None) for seed, death in enumerate(deaths)]
    heard = [asyncio.create_task(_listen(*each)) for each in zip(processes, deaths, strict=True)]
    over = asyncio.Event()
    watching = asyncio.create_task(_watch(tables, over))
    said = [line for lines in await asyncio.gather(*heard) for line in lines]
    over.set()

    # No budget was overrun in any read.
    seen = await watching
    assert len(seen) > 10
    assert max(row["committed"] for row in seen) <= DOLLAR
    assert [row for row in seen if row["spent"] + row["reserved"] != row["committed"]] == []

    # No call was refused that fitted at the time of the decision.
    refused = [line for line in said if line["what"] == "refused"]
    assert refused, "the budget was never full: the test shows nothing"
    assert [line for line in refused if line["used"] + line["reserved"] + line["asked"] <= line["limit"]] == []
    # No process ended otherwise.
    assert {process.returncode for process in processes[:KILLED]} == {-signal.SIGKILL}
    # No call failed otherwise: each call of a surviving process was settled or refused.
    for process, lines in zip(processes[KILLED:], [task.result() for task in heard[KILLED:]], strict=True):
        assert process.returncode == 0
        assert len([line for line in lines if line["what"] in {"settled", "refused"}]) == CALLS // PROCESSES

    # Reservations of killed processes are released when their leases end. The events contain the whole usage.
    dynamodb = AsyncDynamoDB()
    lost = await LeaseReaper(tables.store(dynamodb)).run(int(time.time()) + 60)
    events = [from_row(row) for row in tables.rows(tables.usage)]
    assert tables.reservations() == []
    assert lost > 0
    assert len([event for event in events if event.outcome == "lost"]) == lost
    for row in tables.counters().values():
        assert row["reserved"] == 0
        assert row["spent"] == sum(event.cost for event in events)
    settled = {line["call"]: line["cost"] for line in said if line["what"] == "settled"}
    assert settled.items() <= {event.id: event.cost for event in events}.items()

    # All of the remaining budget can be used.
    left = DOLLAR - sum(event.cost for event in events)
    reservation = caller.reservation(left)
    await Reservations(tables.store(dynamodb)).reserve(reservation, caller.facts(reservation))
    await dynamodb.close()


async def _start(tables: Tables, caller: Caller, seed: int, *, dies: bool) -> Process:
    """Start a process. One that ``dies`` never settles its first call, and runs until it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.emulator.budgets.worker",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PATHS, "POWERTOOLS_METRICS_NAMESPACE": "Test", "POWERTOOLS_SERVICE_NAME": "t"},
        stdin=PIPE,
        stdout=PIPE,
    )
    asked = {
        "budgets": tables.budgets,
        "usage": tables.usage,
        "workspace": msgspec.to_builtins(caller.workspace),
        "member": msgspec.to_builtins(caller.member),
        "key": msgspec.to_builtins(caller.key),
        "at": caller.at,
        "seed": seed,
        "dies": dies,
        "claim": CLAIM,
        "calls": CALLS // PROCESSES,
    }
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    await process.stdin.drain()
    return process


async def _listen(process: Process, death: int | None) -> list[dict[str, Any]]:
    """Read the events of a process; kill it after it has reserved ``death`` calls, or has only its first one left."""
    assert process.stdout is not None
    said: list[dict[str, Any]] = []
    async for line in process.stdout:
        # The last line of a killed process can be incomplete. Lines without "what" are log records.
        if line.endswith(b"}\n") and "what" in (event := json.loads(line)):
            said.append(event)
        ended = [each for each in said if each["what"] != "reserved"]
        if death and (len(said) - len(ended) == death or len(ended) == CALLS // PROCESSES - 1):
            process.kill()
            break
    await process.wait()
    return said


async def _watch(tables: Tables, over: asyncio.Event) -> list[dict[str, int]]:
    """Read the counters repeatedly; return every row."""
    seen: list[dict[str, int]] = []
    while not over.is_set():
        seen += (await asyncio.to_thread(tables.counters)).values()
        await asyncio.sleep(0.05)
    return seen
