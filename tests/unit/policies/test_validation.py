"""Validation of a configuration before publishing."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from opencode_cloud.policies.validation import SCHEMA, faults_of

GATEWAY: dict[str, Any] = {
    "name": "Acme",
    "npm": "@ai-sdk/openai-compatible",
    "options": {"baseURL": "https://gw.example/v1", "apiKey": "{env:OPENCODE_CONSOLE_TOKEN}"},
    "models": {"m1": {"name": "M1", "tool_call": True, "limit": {"context": 200_000, "output": 32_000}}},
}


def paths(document: Any) -> list[str]:
    return [fault.path for fault in faults_of(document)]


def test_a_configuration_with_a_gateway_may_be_published() -> None:
    assert faults_of({"provider": {"acme": GATEWAY}, "model": "acme/m1", "share": "manual"}, "https://gw.example") == []


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], ""),
        ({"modle": "acme/m1"}, ""),
        ({"share": "sometimes"}, "/share"),
        ({"provider": {"acme": {"models": {"m1": {"cost": {"input": "1"}}}}}}, "/provider/acme/models/m1/cost"),
        ({"agent": {"build": {"color": "#ff0000\n"}}}, "/agent/build/color"),
        ({"instructions": ["a", 3]}, "/instructions/1"),
        ({"command": {"a/b": {"template": 1}}}, "/command/a~1b/template"),
        ({"mcp": {"x": {"type": "remote"}}}, "/mcp/x"),
        ({"subagent_depth": 2**60}, "/subagent_depth"),
        ({"username": "half \ud83d"}, "/username"),
        ({"provider": {"__proto__": {}}}, "/provider"),
    ],
)
def test_a_fault_names_its_place(document: Any, path: str) -> None:
    assert path in paths(document)


@pytest.mark.parametrize(
    "document",
    [
        {"provider": {"openai": {"options": {"apiKey": "abc"}}}},
        {"provider": {"openai": {"options": {"headers": {"Authorization": "Bearer abc"}}}}},
        {"provider": {"openai": {"options": {"headers": {"x-api-key": "abc"}}}}},
        {"mcp": {"x": {"type": "remote", "url": "https://a.example/?api_key=abc"}}},
        {"mcp": {"x": {"type": "remote", "url": "https://user:pass@a.example/"}}},
        {"mcp": {"x": {"type": "local", "command": ["a"], "environment": {"GITHUB_TOKEN": "x"}}}},
        {"mcp": {"x": {"type": "local", "command": ["a", "--key", "ghp_" + "a" * 36]}}},
        {"mcp": {"x": {"type": "remote", "url": "https://a.example", "oauth": {"clientSecret": "x"}}}},
        {"username": "sk-ant-" + "a" * 40},
        {"instructions": ["oc_sk_" + "a" * 43]},
        {"provider": {"openai": {"options": {"apiKey": "{env:KEY}abc"}}}},
    ],
)
def test_secrets_are_refused(document: Any) -> None:
    faults = faults_of(document)
    assert faults
    assert all("{env:NAME}" in fault.message for fault in faults)


@pytest.mark.parametrize(
    "document",
    [
        {
            "provider": {
                "openai": {"options": {"apiKey": "{env:KEY}", "headers": {"Authorization": "Bearer {env:KEY}"}}}
            }
        },
        {"compaction": {"preserve_recent_tokens": 4000}},
        {"provider": {"openai": {"env": ["OPENAI_API_KEY"]}}},
        {"mcp": {"x": {"type": "remote", "url": "https://a.example/?key={env:KEY}"}}},
    ],
)
def test_references_to_the_environment_are_no_secrets(document: Any) -> None:
    assert faults_of(document) == []


@pytest.mark.parametrize("text", ["{file:~/.ssh/id_rsa}", "Bearer {file:/x}"])
def test_files_are_refused(text: str) -> None:
    assert ["file" in fault.message for fault in faults_of({"username": text})] == [True]


def test_a_long_document_is_refused() -> None:
    assert ["longer" in fault.message for fault in faults_of({"instructions": ["a" * 100_001]})] == [True]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
SCHEMA_DOCUMENT: dict[str, Any] = json.loads(SCHEMA.read_text())
KEYS = sorted(set(re.findall(r'"([a-z_$A-Z]+)":', SCHEMA.read_text())))
WORDS = st.sampled_from([*KEYS, "allow", "deny", "manual", "disabled", "remote", "local", "#ffffff", "acme/m1"])
NEAR = st.recursive(
    LEAVES | WORDS | st.sampled_from([0, 1, 1.0, 1.5, -1, {}, []]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=30,
)


@given(st.one_of(JSON, NEAR, st.dictionaries(st.sampled_from(sorted(SCHEMA_DOCUMENT["properties"])), NEAR, max_size=4)))
def test_any_document_is_refused_or_accepted_by_the_schema_and_is_json(document: Any) -> None:
    if not faults_of(document):
        assert json.loads(json.dumps(document, allow_nan=False).encode()) == document
        assert Draft202012Validator(SCHEMA_DOCUMENT).is_valid(document)  # pyright: ignore[reportUnknownMemberType]
