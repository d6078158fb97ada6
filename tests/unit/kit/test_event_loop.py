"""The watchdog reports a step that holds up the loop, and nothing else."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from opencode_cloud.kit import event_loop, log

LONG = 4 * event_loop.LONGEST_STEP_SECONDS


def busy(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def reports_during(*steps: object) -> list[float]:
    found: list[float] = []
    watching = asyncio.create_task(event_loop.watch(found.append))
    await asyncio.sleep(0)
    for step in steps:
        if callable(step):
            step()
        await asyncio.sleep(event_loop.TICK_SECONDS)
    await asyncio.sleep(2 * event_loop.TICK_SECONDS)
    watching.cancel()
    return found


async def test_a_long_step_is_reported_with_its_length() -> None:
    [stood] = await reports_during(lambda: busy(LONG))
    assert LONG / 2 < stood < 3 * LONG


async def test_many_short_steps_are_not_reported() -> None:
    assert await reports_during(*[lambda: busy(0.001)] * 100) == []


async def test_a_process_that_was_frozen_is_not_reported() -> None:
    assert await reports_during(lambda: time.sleep(LONG)) == []


async def test_an_error_of_a_background_task_is_counted_and_ends_no_other_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(log, "count", lambda name, _value=1: counted.append(name))
    done: list[int] = []
    tasks = event_loop.BackgroundTasks()

    async def work(divisor: int) -> None:
        await asyncio.sleep(0)
        done.append(1 // divisor)

    tasks.start(work(0))
    tasks.start(work(1))
    await tasks.settle()
    assert (done, counted) == ([1], ["FailedTaskCount"])


def test_a_step_that_holds_up_the_loop_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    event_loop.log_step(0.2)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [record["LoopStoodStill"] for record in records] == [[200.0]]
