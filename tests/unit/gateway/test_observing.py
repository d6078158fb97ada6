"""Metrics of the gateway."""

from __future__ import annotations

import json

import pytest

from opencode_cloud.gateway import observing


def test_a_step_that_holds_up_the_loop_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    observing.stood_still(0.2)
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [record["LoopStoodStill"] for record in records] == [[200.0]]
