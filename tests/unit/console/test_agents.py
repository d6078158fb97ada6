"""The setups beside a new key are those of docs/agents.md, whose lines the slow tests run with each agent."""

from __future__ import annotations

import pytest

from opencode_cloud.console.agents import AgentSetup, setups
from tests.ministack import ROOT

DOCUMENT = (ROOT / "docs" / "agents.md").read_text()
SETUPS = [each for each in setups("$HOST", "$KEY", "$MODEL") if each.id != "curl"]  # no agent


def words(text: str) -> str:
    """Return a text on one line, without the marks of a continued line."""
    return " ".join(text.replace("\\\n", " ").split())


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.id)
def test_a_setup_has_the_lines_of_the_document(setup: AgentSetup) -> None:
    assert words(setup.lines) in words(DOCUMENT)
