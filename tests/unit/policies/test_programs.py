"""Programs in a configuration: found wherever they are, and each difference counts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.policies.programs import changed_programs, programs_of
from tests.unit.policies.test_validation import SCHEMA_DOCUMENT

HARMLESS: list[dict[str, Any]] = [
    {"model": "acme/m1", "small_model": "acme/m2", "share": "manual", "username": "acme", "instructions": ["A.md"]},
    {"mcp": {"x": {"type": "remote", "url": "https://a.example"}}},
    {"formatter": {"prettier": {"disabled": True}}, "lsp": {"pyright": {"disabled": True}}},
    {"formatter": True, "lsp": False},
    {"agent": {"build": {"model": "acme/m1", "prompt": "Be brief."}}},
    {"provider": {"acme": {"name": "Acme", "whitelist": ["m1"], "options": {"timeout": 1000}}}},
    {"provider": {"acme": {"models": {"m1": {"name": "M1", "cost": {"input": 1, "output": 2}}}}}},
]


@pytest.mark.parametrize("document", HARMLESS)
def test_members_that_run_nothing_are_no_programs(document: dict[str, Any]) -> None:
    assert programs_of(document) == []


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ({"plugin": ["a", ["b", {}]]}, ["/plugin"]),
        ({"mcp": {"a/b": {"type": "local", "command": ["sh"]}, "c": {"enabled": True}}}, ["/mcp/a~1b", "/mcp/c"]),
        ({"formatter": {"x": {"command": ["sh"]}, "y": {"disabled": True}}}, ["/formatter/x"]),
        ({"lsp": {"x": {"command": ["sh"]}}}, ["/lsp/x"]),
        ({"command": {"x": {"template": "Hello"}}}, ["/command/x"]),
        ({"permission": "allow"}, ["/permission"]),
        ({"tools": {"bash": True}, "shell": "/bin/sh", "server": {"hostname": "::"}}, ["/shell", "/server", "/tools"]),
        ({"mode": {"x": {"tools": {"bash": True}}}}, ["/mode/x/tools"]),
        ({"skills": {"urls": ["https://a.example"]}, "references": {"x": "a/b"}}, ["/skills", "/references/x"]),
        ({"provider": {"x": {"npm": "acme"}}}, ["/provider/x"]),
        ({"provider": {"x": {"api": "https://a.example"}}}, ["/provider/x"]),
        ({"provider": {"x": {"env": ["OPENAI_API_KEY"]}}}, ["/provider/x"]),
        ({"provider": {"x": {"options": {"endpoint": "https://a.example"}}}}, ["/provider/x"]),
        ({"provider": {"x": {"models": {"m": {"provider": {"npm": "acme"}}}}}}, ["/provider/x"]),
        ({"provider": {"x": {"models": {"m": {"headers": {"a": "b"}}}}}}, ["/provider/x"]),
    ],
)
def test_programs_are_found(document: dict[str, Any], paths: list[str]) -> None:
    assert [program.path for program in programs_of(document)] == paths


def test_an_addition_a_change_and_a_removal_count_and_nothing_else() -> None:
    before = {"permission": {"bash": "deny"}, "lsp": {"x": {"command": ["a"]}}, "model": "acme/m1"}
    after = {"lsp": {"x": {"command": ["b"]}}, "plugin": ["a"], "model": "acme/m2"}
    assert [program.path for program in changed_programs(before, after)] == ["/plugin", "/lsp/x", "/permission"]
    assert changed_programs(before, {**before, "model": "acme/m2"}) == []


DECIDED = {
    *("$schema", "logLevel", "watcher", "snapshot", "share", "autoshare", "autoupdate", "disabled_providers"),
    *("enabled_providers", "model", "small_model", "default_agent", "subagent_depth", "username", "instructions"),
    *("layout", "attachment", "enterprise", "tool_output", "compaction", "experimental"),
}
"""Members of the client's schema that run nothing."""
LOOKED_INTO = {
    *("shell", "server", "command", "skills", "references", "reference", "plugin", "mode", "agent", "provider", "mcp"),
    *("formatter", "lsp", "permission", "tools"),
}


def test_each_member_of_the_clients_schema_is_decided() -> None:
    assert set(SCHEMA_DOCUMENT["properties"]) == DECIDED | LOOKED_INTO


@given(st.sampled_from(sorted(DECIDED)), st.none() | st.booleans() | st.text() | st.dictionaries(st.text(), st.text()))
def test_other_members_need_no_owner(name: str, value: Any) -> None:
    assert programs_of({name: value}) == []
