"""The pool of threads: results, errors, width, contexts, and the end of the process."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextvars import ContextVar
from pathlib import Path

import pytest

from opencode_cloud.kit.parallel import CallPool, parallel_map

LIBRARY = Path(__file__).parents[3] / "layers" / "core"
PROGRAM = """
import threading
from opencode_cloud.kit.parallel import pool
def work(): threading.Event().wait(0.05); print("done")
for _ in range(40): pool().submit(work)
"""
name: ContextVar[str] = ContextVar("name", default="")


def test_a_call_returns_its_result_or_raises_its_error() -> None:
    pool = CallPool(2)
    assert pool.submit(divmod, 7, 4).result() == (1, 3)
    failed = pool.submit(divmod, 7, 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failed.result()


def test_calls_run_beside_each_other_up_to_the_width_and_all_of_them_run() -> None:
    pool, together, names = CallPool(3), threading.Barrier(3, timeout=20), set[str]()

    def work(number: int) -> int:
        together.wait()
        names.add(str(threading.get_ident()))
        return number

    calls = [pool.submit(work, number) for number in range(9)]
    assert [call.result() for call in calls] == [*range(9)]
    assert len(names) == 3


def test_an_idle_thread_takes_the_next_call() -> None:
    pool = CallPool(8)
    idents = set[int]()
    for _ in range(20):
        idents.add(pool.submit(threading.get_ident).result())
        pool.finish()
    assert len(idents) == 1


def test_a_call_for_which_no_thread_can_be_started_is_refused_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = CallPool(1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            pool.submit(int)
    pool.finish()
    assert pool.submit(int).result() == 0


def test_a_call_runs_in_the_context_of_its_caller() -> None:
    pool = CallPool(1)
    for caller in ("first", "second"):
        token = name.set(caller)
        call = pool.submit(name.get)
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
