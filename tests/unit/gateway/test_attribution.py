"""The project and the program of a call, by the headers of its client."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from opencode_cloud.contracts.access import EnforcedPolicy
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, KnownBudget
from opencode_cloud.contracts.ids import BudgetId
from opencode_cloud.contracts.projects import is_project, is_project_header
from opencode_cloud.gateway.attribution import agent_of, project_of
from opencode_cloud.gateway.models import Incoming
from tests.unit.gateway.calling import Connection, Rig, Scripted
from tests.unit.gateway.rigs import only, rig

CLAUDE_CODE = "claude-cli/2.1.332 (external, sdk-cli)"


@pytest.mark.parametrize(
    ("headers", "agent"),
    [
        ({"user-agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.1 runtime/bun/1.3.2"}, "opencode"),
        ({"user-agent": "", "x-opencode-session": "ses_1"}, "opencode"),
        ({"user-agent": CLAUDE_CODE}, "claude-code"),
        ({"user-agent": CLAUDE_CODE, "x-opencode-session": "ses_1"}, "claude-code"),
        ({"user-agent": "codex_exec/0.171.0 (Ubuntu 24.4.0; x86_64) unknown"}, "codex"),
        ({"user-agent": "reqwest/0.12", "originator": "codex_exec"}, "codex"),
        ({"user-agent": "GeminiCLI-tui/0.61.0/gemini-3-pro (linux; x64)"}, "gemini-cli"),
        ({"user-agent": "QwenCode/0.15.10 (linux; x64)"}, "qwen-code"),
        ({"user-agent": "ai-sdk/openai/4.0.47 runtime/node.js/24"}, "ai-sdk"),
        ({"user-agent": "Node", "x-title": "Cline"}, "cline"),
        ({"user-agent": "litellm/1.81.10"}, "litellm"),
        ({"user-agent": "AsyncOpenAI/Python 2.8.1"}, "openai-sdk"),
        ({"user-agent": "Mystery/1", "x-opencode-session": "ses_1"}, ""),
        ({"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}, ""),
        ({}, ""),
    ],
)
def test_the_user_agent_names_the_program(headers: dict[str, str], agent: str) -> None:
    assert agent_of(headers) == agent


def test_the_workspaces_header_counts_before_that_of_opencode() -> None:
    headers = {"x-opencode-project": "4b0ea68d7af9a6031a7ffda7ad66e0cb83315750", "x-cost-center": "Team Blue/web"}
    assert project_of(headers, ()) == headers["x-opencode-project"]
    assert project_of(headers, ("x-cost-center",)) == "Team Blue/web"
    assert project_of(headers, ("x-team", "x-cost-center")) == "Team Blue/web"
    assert project_of({"x-cost-center": "web"}, ()) == ""


@pytest.mark.parametrize("value", ["", "é", "a\tb", "=cmd()", "-1", "a" * 65, "mem_01K0000000000000000000000A"])
def test_a_name_in_another_form_is_no_project(value: str) -> None:
    assert not is_project(value)
    assert project_of({"x-opencode-project": value}, ()) == ""


@given(st.text(max_size=80))
def test_a_project_is_short_and_printable(value: str) -> None:
    project = project_of({"x-opencode-project": value}, ())
    assert project in {"", value.strip()}
    assert len(project) <= 64
    assert project.isascii()
    assert project.isprintable()


@pytest.mark.parametrize("name", ["x-cost-center", "x-project", "x-team"])
def test_a_workspace_chooses_the_header(name: str) -> None:
    assert is_project_header(name)


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "cookie", "x-api-key", "x-goog-api-key", "x-auth", "x-amz-security-token", "x-client-ip"),
        *("x-forwarded-for", "x-real-ip", "x-session-id", "x-org-id", "x-opencode-session", "X-Team", "x-", "x-a b"),
    ],
)
def test_no_header_that_can_hold_a_secret_names_projects(name: str) -> None:
    assert not is_project_header(name)


def counting(found: Rig, **changes: Any) -> Rig:
    """Let the caller's workspace have other budgets, headers or policy."""
    workspace = msgspec.structs.replace(found.caller.workspace, **changes)
    found.caller = replace(found.caller, workspace=workspace)
    return found


async def held_on(found: Rig, incoming: Incoming) -> list[str]:
    await found.calls.serve(incoming, Connection())
    return [counter.key.rpartition("#")[0] for counter in found.ledger.reserved[-1].counters]


async def test_a_call_counts_on_the_budget_of_its_project() -> None:
    kind = {"scope": BudgetScope.PROJECT, "unit": BudgetUnit.COST, "period": BudgetPeriod.DAY, "limit": 10**12}
    budgets = tuple(KnownBudget(id=BudgetId(f"bud_{name}"), subject=name, **kind) for name in ("web", "api"))
    found = counting(rig(lambda _: Scripted()), budgets=budgets)
    headers = {"x-opencode-project": "web"}
    assert await held_on(found, replace(found.incoming(), project_headers=headers)) == ["budget#bud_web"]
    assert await held_on(found, found.incoming()) == []


async def test_a_call_counts_on_the_budget_of_its_session_by_a_pseudonym() -> None:
    found = counting(rig(lambda _: Scripted()), policy=EnforcedPolicy(session_budget=10**12))
    await found.calls.serve(found.incoming(session="ses_secret"), Connection())
    [counter] = found.ledger.reserved[-1].counters
    assert counter.key == f"session#wrk_1#{only(found).session}"
    assert "secret" not in counter.key
    assert await held_on(found, found.incoming(session="")) == []


async def test_a_call_is_recorded_with_project_and_program() -> None:
    found = counting(rig(lambda _: Scripted()), project_headers=("x-cost-center",))
    incoming = replace(found.incoming(), agent="codex", project_headers={"x-cost-center": "web"})
    await found.calls.serve(incoming, Connection())
    event = only(found)
    assert (event.project, event.agent) == ("web", "codex")
