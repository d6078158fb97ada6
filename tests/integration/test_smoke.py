"""The smoke test of a deployed stage, on the local one."""

from __future__ import annotations

import httpx
import pytest

from infra.operations.smoke import Failed, public_steps, run
from local.stack import LocalStack

pytestmark = pytest.mark.xdist_group("gateway")  # whose tests restart the gateway


def test_a_healthy_stage_passes_and_keeps_nothing(stack: LocalStack) -> None:
    said: list[str] = []
    assert run([*public_steps(stack.url)], said.append), said
    assert len(said) == 5


def test_a_stage_that_is_down_fails_every_step() -> None:
    said: list[str] = []
    assert not run([*public_steps("http://127.0.0.1:9")], said.append)
    assert all(line.startswith("FAIL") for line in said)


def test_a_step_that_fails_does_not_hide_the_others() -> None:
    def fails() -> None:
        raise Failed("it is Friday")

    def breaks() -> None:
        raise httpx.ConnectError("no route")

    said: list[str] = []
    assert not run([("one", fails), ("two", breaks), ("three", lambda: None)], said.append)
    assert said == ["FAIL  one: Failed: it is Friday", "FAIL  two: ConnectError: no route", "ok    three"]
