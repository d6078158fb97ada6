"""Operators' commands for usage, from the command line to the rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.operators import command
from opencode_cloud.usage.commands import UsageCommand, execute_usage_command
from opencode_cloud.usage.service.reconciling import ReplayProgress


class Told:
    """A stand-in that records its calls. A replay takes two steps."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def replay(self, day: str, workspace: str | None, after: tuple[str, str] | None) -> ReplayProgress:
        self.asked.append((day, workspace, after))
        return ReplayProgress(5, 1, None if after else ("wrk_1", "call_5"))

    def check_day(self, workspace: str, day: datetime) -> int:
        self.asked.append((workspace, day))
        return 2


def test_a_replay_is_asked_for_until_the_day_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: Any = Told()

    class Deployed:
        def __init__(self, stage: str) -> None:
            assert stage == "dev"

        def call(self, command: dict[str, Any]) -> dict[str, Any]:
            # As the function does: every payload must be a valid command.
            return {"result": execute_usage_command(msgspec.convert(command, UsageCommand), told)}

    monkeypatch.setattr(command, "Deployed", Deployed)
    assert command.main(["--stage", "dev", "usage", "replay", "2026-11-25"]) == 0
    assert told.asked == [("2026-11-25", None, None), ("2026-11-25", None, ("wrk_1", "call_5"))]
    assert '"events": 10' in capsys.readouterr().out


def test_a_day_is_reconciled_by_hand() -> None:
    told: Any = Told()
    command = {"type": "usage", "action": "reconcile", "day": "2026-11-25", "workspace_id": "wrk_1"}
    assert execute_usage_command(msgspec.convert(command, UsageCommand), told) == {"drifts": 2}
    assert told.asked == [("wrk_1", datetime(2026, 11, 25))]  # noqa: DTZ001 - UTC without a zone


def test_books_are_reconciled_of_a_named_workspace() -> None:
    told: Any = Told()
    command = {"type": "usage", "action": "reconcile", "day": "2026-11-25"}
    with pytest.raises(BadRequest) as refused:
        execute_usage_command(msgspec.convert(command, UsageCommand), told)
    assert (refused.value.code, told.asked) == ("invalid_command", [])


def test_what_is_no_day_is_no_command() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "usage", "action": "replay", "day": "yesterday"}, UsageCommand)
