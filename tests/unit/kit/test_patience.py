"""Many waits of a task have one timer, and each ends in time."""

from __future__ import annotations

import asyncio
import time

import pytest

from opencode_cloud.kit.patience import Patience
from tests.waiting import PATIENCE


async def result(seconds: float, said: str = "done") -> str:
    await asyncio.sleep(seconds)
    return said


async def test_a_wait_returns_the_result() -> None:
    patience = Patience()
    assert [await patience.wait(result(0, str(number)), PATIENCE) for number in range(3)] == ["0", "1", "2"]
    patience.close()


async def test_a_wait_that_takes_too_long_is_cancelled_and_the_next_goes_on() -> None:
    patience, ended = Patience(), list[str]()

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await patience.wait(endless(), 0.05)
        assert time.monotonic() - began >= 0.05
        assert await patience.wait(result(0.001), 60) == "done"
    task = asyncio.current_task()
    assert ended == ["cancelled", "cancelled"]
    assert task is not None
    assert task.cancelling() == 0
    patience.close()


async def test_a_timer_of_an_earlier_wait_does_not_end_a_later_one() -> None:
    patience = Patience()
    assert await patience.wait(result(0.03), 0.5) == "done"
    # The first timer fires in the middle of this wait.
    assert await patience.wait(result(0.6), PATIENCE) == "done"
    # A shorter wait than the one before it ends in its own time.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await patience.wait(result(60), 0.02)
    patience.close()


async def test_a_wait_without_time_ends_at_once() -> None:
    patience = Patience()
    with pytest.raises(TimeoutError):
        await patience.wait(result(60), 0)
    patience.close()


async def test_errors_and_cancellations_from_outside_go_on() -> None:
    patience = Patience()

    async def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await patience.wait(broken(), 10)
    waiting = asyncio.create_task(patience.wait(result(60), 60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    patience.close()


async def test_a_cancellation_at_the_same_time_is_not_swallowed() -> None:
    patience = Patience()

    async def waits() -> None:
        await patience.wait(result(60), 0.01)

    task = asyncio.create_task(waits())
    await asyncio.sleep(0)
    # Both in one step of the loop: the wait's own end, and a cancellation from outside.
    asyncio.get_running_loop().call_later(0.01, task.cancel)
    time.sleep(0.02)  # noqa: ASYNC251 - so that both are due
    with pytest.raises(asyncio.CancelledError):
        await task
    patience.close()


async def test_a_closed_timer_fires_no_more() -> None:
    patience = Patience()
    await patience.wait(result(0), 0.5)
    patience.close()
    assert await asyncio.wait_for(result(0.8), PATIENCE) == "done"
