"""Other makers' agents, as installed and connected by `opencode-cloud connect`, against models of every format."""

from __future__ import annotations

import json
import secrets
import signal
import struct
import zlib
from pathlib import Path

import pytest

from tests.upstreams import Call, Fault, Kind, Script
from tests.waiting import until

from .conftest import Desk, Outcome, end
from .drivers import DRIVERS, PATIENCE, Driver

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway"), pytest.mark.timeout(PATIENCE + 60)]
FORMATS = ("chat", "responses", "messages", "generate")
WITH_TOOLS = [name for name, driver in DRIVERS.items() if driver.look]


def picture() -> bytes:
    """Return a red PNG of 64 by 64 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff\0\0" * 64) * 64)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def agents(names: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("driver", names, indirect=True)


def done(outcome: Outcome) -> None:
    assert outcome.refused == []
    assert outcome.status == 0, outcome.said[-3000:]


@agents(WITH_TOOLS)
@pytest.mark.parametrize("format_", FORMATS)
def test_a_turn_of_parallel_and_later_calls_runs(desk: Desk, driver: Driver, format_: str) -> None:
    words = [secrets.token_hex(8) for _ in range(3)]
    project = desk.project()
    files = [project / f"{name}.txt" for name in "abc"]
    for file, word in zip(files, words, strict=True):
        file.write_text(word)
    assert driver.look
    first, second, third = map(driver.look, files)
    script = Script(say="All is well, and done.", think="First a look.", steps=((first, second), (third,)))
    run = desk.prepared(driver, format_, script, project)
    outcome = desk.drive(driver, run)
    done(outcome)
    assert "All is well, and done." in outcome.said
    results = json.dumps(outcome.of(script)[-1].notes["heard"]["results"])
    assert [word for word in words if word not in results] == [], (results, outcome.said[-1500:])


@agents(["aider"])
@pytest.mark.parametrize("format_", FORMATS)
def test_an_edit_is_written(desk: Desk, driver: Driver, format_: str) -> None:
    script = Script(say="notes.txt\n```\nThe new text.\n```\n")
    run = desk.prepared(driver, format_, script)
    outcome = desk.drive(driver, run)
    done(outcome)
    assert (run.project / "notes.txt").read_text() == "The new text.\n"


@agents([name for name, each in DRIVERS.items() if each.pictures])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_arrives(desk: Desk, driver: Driver, format_: str) -> None:
    project = desk.project()
    file = project / "picture.png"
    file.write_bytes(picture())
    steps: tuple[tuple[Call, ...], ...] = ()
    if driver.agent == "claude-code":
        steps = ((Call("Read", {"file_path": str(file)}),),)
    script = Script(say="A picture of red, all in all.", steps=steps)
    run = desk.prepared(driver, format_, script, project, picture=file)
    outcome = desk.drive(driver, run)
    done(outcome)
    assert "A picture of red, all in all." in outcome.said
    # opencode 1.1 also asks for a title and a summary of the prompt, and leaves the picture out of the summary.
    turns = [record.notes["heard"] for record in outcome.of(script) if record.notes["heard"]["tools"]]
    assert turns[-1]["images"]


SCHEMA = {
    "type": "object",
    "properties": {"color": {"type": "string"}},
    "required": ["color"],
    "additionalProperties": False,
}


@agents([name for name, each in DRIVERS.items() if each.schemas])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_structured_answer_has_its_schema(desk: Desk, driver: Driver, format_: str, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    answer = {"color": f"red {secrets.token_hex(4)}"}
    tool = {"claude-code": "StructuredOutput", "qwen": "structured_output"}.get(driver.agent)
    steps = ((Call(tool, answer),),) if tool else ()
    script = Script(say=json.dumps(answer), steps=steps)
    run = desk.prepared(driver, format_, script, schema=schema)
    outcome = desk.drive(driver, run)
    done(outcome)
    assert answer["color"] in outcome.said


@agents(list(DRIVERS))
def test_a_server_that_knows_few_members_answers(desk: Desk, driver: Driver) -> None:
    script = Script(say="Few members suffice, all in all.", faults={"*": Fault(Kind.FEW_MEMBERS)})
    run = desk.prepared(driver, "few", script)
    outcome = desk.drive(driver, run)
    done(outcome)
    assert "Few members suffice, all in all." in outcome.said


@agents(list(DRIVERS))
@pytest.mark.parametrize(("format_", "status"), [("chat", 429), ("messages", 500), ("messages", 529)])
def test_a_failure_that_passes_is_not_seen(desk: Desk, driver: Driver, format_: str, status: int) -> None:
    fault = Fault(Kind.STATUS, times=1, status=status, retry_after="1")
    script = Script(say="It went well after all.", faults={"*": fault})
    run = desk.prepared(driver, format_, script)
    outcome = desk.drive(driver, run)
    done(outcome)
    assert "It went well after all." in outcome.said


TOO_LONG = {
    "claude-code": ("Prompt is too long",),
    "codex": ("ran out of room",),
    "gemini": ("exceeds the maximum number of tokens allowed",),
    "cline": ("switch to a model with a larger context window",),
}
"""A text that an agent prints when it knows that the prompt was too long."""
VENDORS = (
    "maximum context length",
    "exceeds the context window",
    "prompt is too long",
    "exceeds the maximum number of tokens allowed",
)
"""The vendors' own words, which the other agents show as they are."""


@agents(list(DRIVERS))
@pytest.mark.parametrize("format_", FORMATS)
def test_a_prompt_that_is_too_long_is_told_as_such(desk: Desk, driver: Driver, format_: str) -> None:
    script = Script(say="Never said.", faults={"*": Fault(Kind.TOO_LONG)})
    run = desk.prepared(driver, format_, script)
    outcome = desk.drive(driver, run)
    assert outcome.refused == []
    wanted = TOO_LONG.get(driver.agent, (*VENDORS, "context"))
    assert [text for text in wanted if text.lower() in outcome.said.lower()], outcome.said[-2000:]


@agents(list(DRIVERS))
def test_a_budget_that_is_used_up_is_shown_in_our_words(desk: Desk, driver: Driver) -> None:
    shop = desk.shop.world.shop()
    limit = {"scope": "workspace", "unit": "cost", "period": "month", "limit": 0}
    made = shop.owner.http.post(f"{shop.path}/budgets", json=limit)
    assert made.status_code == 201, made.text
    script = Script(say="Never said.")
    run = desk.prepared(driver, "messages", script, key=shop.key)
    outcome = desk.drive(driver, run)
    assert outcome.of(script) == []
    assert "budget" in outcome.said.lower()


@agents(WITH_TOOLS)
def test_an_interrupted_agent_ends_the_call_at_the_upstream(desk: Desk, driver: Driver) -> None:
    script = Script(say="word " * 400, pause=0.2)
    run = desk.prepared(driver, "messages", script)
    process = driver.start(run, run.home.parent / "output")
    upstreams = desk.shop.world.upstreams
    try:
        begun = until(lambda: [record for record in upstreams.of(script) if record.events > 3], PATIENCE)
        process.send_signal(signal.SIGINT)
        until(lambda: begun[-1].ended)
        assert begun[-1].disconnected
    finally:
        end(process, run.home)
