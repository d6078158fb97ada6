"""The pool of threads: results, errors, contexts, and the end of the process."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextvars import ContextVar
from pathlib import Path

import pytest

from opencode_cloud.kit.parallel import parallel_map, pool

LIBRARY = Path(__file__).parents[3] / "layers" / "core"
PROGRAM = """
import threading
from opencode_cloud.kit.parallel import pool
def work(): threading.Event().wait(0.05); print("done")
for _ in range(40): pool().submit(work)
"""
name: ContextVar[str] = ContextVar("name", default="")


def test_a_call_runs_in_the_context_of_its_caller() -> None:
    for caller in ("first", "second"):
        token = name.set(caller)
        call = pool().submit(name.get)
        name.reset(token)
        assert call.result() == caller


def test_results_have_the_order_of_the_arguments() -> None:
    assert parallel_map(lambda number: number * 2, range(100)) == [*range(0, 200, 2)]


def test_an_error_is_raised_after_all_calls_have_ended() -> None:
    ended: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            raise ValueError(number)
        threading.Event().wait(0.01)
        ended.append(number)

    with pytest.raises(ValueError, match="0"):
        parallel_map(work, range(20))
    assert sorted(ended) == [*range(1, 20)]


def test_a_process_ends_after_the_calls_that_it_has_begun() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["done"] * 40
