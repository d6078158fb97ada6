"""Sub-agents and compactions of agents as installed, against models of every format."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.upstreams import Call, Script, Usage

from .conftest import Desk
from .drivers import PATIENCE, Driver, Run
from .test_agents import FORMATS, agents, done

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway"), pytest.mark.timeout(3 * PATIENCE + 60)]
SUB_AGENTS: dict[str, Callable[[str], tuple[tuple[Call, ...], ...]]] = {
    "claude-code": lambda prompt: ((_part("Agent", "general-purpose", prompt),),),
    "codex": lambda prompt: (
        (Call("spawn_agent", {"message": prompt}, "multi_agent_v1"),),
        (Call("wait_agent", {"targets": ["@agent_id"]}, "multi_agent_v1"),),
    ),
    "opencode": lambda prompt: ((_part("task", "general", prompt),),),
}
"""The calls by which an agent gives a sub-agent its part."""


def _part(tool: str, kind: str, prompt: str) -> Call:
    return Call(tool, {"description": "Do a part", "prompt": prompt, "subagent_type": kind})


@agents(list(SUB_AGENTS))
@pytest.mark.parametrize("format_", FORMATS)
def test_a_sub_agent_does_its_part(desk: Desk, driver: Driver, format_: str) -> None:
    inner = Script(say="The part is done.")
    outer = Script(say="The whole is done.", steps=SUB_AGENTS[driver.agent](inner.prompt()))
    run = desk.prepared(driver, format_, outer)
    outcome = desk.drive(driver, run)
    done(outcome)
    assert "The whole is done." in outcome.said
    assert outcome.of(inner), outcome.said[-2000:]
    if driver.agent != "claude-code":  # Claude Code does not wait for it
        assert "The part is done." in json.dumps(outcome.of(outer)[-1].notes["heard"]["results"])


@agents(["claude-code"])
@pytest.mark.parametrize("format_", FORMATS)
def test_claude_code_compacts_a_conversation_and_goes_on(desk: Desk, driver: Driver, format_: str) -> None:
    session = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{desk.shop.workspace}/{format_}"))
    first, last = Script(say="It has begun."), Script(say="It goes on.")
    begun = desk.prepared(driver, format_, first)

    def told(run: Run, *more: str) -> Driver:
        return replace(driver, arguments=lambda _run: ["-p", run.prompt, *more, "--output-format", "text"])

    done(desk.drive(told(begun, "--session-id", session), begun))
    compact = replace(begun, prompt="/compact")
    compacted = desk.drive(told(compact, "--resume", session), compact)
    done(compacted)
    assert [record for record in compacted.records if "summary" in json.dumps(record.body).lower()]
    goes_on = replace(begun, prompt=last.prompt())
    outcome = desk.drive(told(goes_on, "--resume", session), goes_on)
    done(outcome)
    assert "It goes on." in outcome.said


@agents(["codex"])
@pytest.mark.parametrize("format_", FORMATS)
def test_codex_compacts_a_conversation_that_is_too_long(desk: Desk, driver: Driver, format_: str) -> None:
    project = desk.project()
    assert driver.look
    look = driver.look(project / "notes.txt")
    script = Script(say="All is done.", steps=((look,), (look,)), usage=Usage(input=50_000))
    run = desk.prepared(driver, format_, script, project)
    limited = ["-c", "model_auto_compact_token_limit=20000"]
    outcome = desk.drive(replace(driver, arguments=lambda run: [*limited, *driver.arguments(run)]), run)
    done(outcome)
    compactions = [record for record in outcome.records if "compact" in json.dumps(record.body).lower()]
    assert compactions, outcome.said[-2000:]
