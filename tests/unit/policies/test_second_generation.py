"""Clients of the second generation are told the policy that the gateway enforces, in their own words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.access import EnforcedPolicy, EnforcedRules, matches
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.policies import second_generation
from opencode_cloud.policies.compilation import client_config, enforced
from opencode_cloud.policies.models import Policy

DOCUMENT: dict[str, Any] = {"provider": {"acme": {"models": {"m1": {}}}}}


def told(document: dict[str, Any] | None = None, **policy: Any) -> dict[str, Any]:
    checked = Policy.model_validate(policy)
    config = client_config(checked, document or DOCUMENT, WorkspaceId("wrk_1"))
    return second_generation.config_of(config, enforced(checked, 1))


def verdict(config: dict[str, Any], action: str, resource: str) -> str:
    """Return the effect of the last statement that matches, as clients 2.x evaluate them."""
    found = [
        each["effect"]
        for each in config.get("experimental", {}).get("policies", [])
        if each["action"] == action and matches(each["resource"], resource)
    ]
    return found[-1] if found else "allow"


def test_a_denied_tool_and_a_denied_provider_are_named() -> None:
    config = told(tools={"deny": ["webfetch"]}, providers={"deny": ["acme"]})
    assert {"action": "permission", "effect": "deny", "resource": "webfetch:*"} in config["experimental"]["policies"]
    assert {"action": "provider.use", "effect": "deny", "resource": "acme"} in config["experimental"]["policies"]
    assert config["providers"] == {}


def test_without_a_policy_there_are_no_statements_and_search_is_never_offered() -> None:
    assert told().keys() == {"providers"}


def test_a_documents_own_statements_come_before_those_of_the_policy() -> None:
    own = {"action": "provider.use", "effect": "allow", "resource": "*"}
    document = {**DOCUMENT, "experimental": {"policies": [own]}}
    config = told(document, providers={"deny": ["acme"]})
    assert config["experimental"]["policies"][0] == own
    assert verdict(config, "provider.use", "acme") == "deny"


@pytest.mark.parametrize(
    ("pattern", "name"), [("bash", "shell"), ("task", "subagent"), ("Bash", "shell"), ("write*", "webfetch")]
)
def test_names_of_the_first_generation_mean_those_of_the_second(pattern: str, name: str) -> None:
    denied = name != "webfetch"
    assert (verdict(told(tools={"deny": [pattern]}), "permission", f"{name}:ls") == "deny") is denied
    assert (verdict(told(tools={"allow": [pattern]}), "permission", f"{name}:ls") == "allow") is denied


PATTERNS = st.lists(
    st.sampled_from(["bash", "shell", "edit", "write", "web*", "*", "mcp_?", "Read", "external_directory"]), max_size=3
)
RULES = st.builds(
    lambda allow, deny: EnforcedRules(allow=None if allow is None else tuple(allow), deny=tuple(deny)),
    st.none() | PATTERNS,
    PATTERNS,
)


@given(RULES, st.sampled_from([*second_generation.TOOLS, "mcp_x"]))
def test_what_clients_are_told_is_what_the_gateway_enforces(rules: EnforcedRules, tool: str) -> None:
    config = second_generation.config_of({}, EnforcedPolicy(tools=rules))
    assert (verdict(config, "permission", f"{tool}:anything") == "allow") == rules.permit_tool(tool)


def test_an_allow_list_leaves_permissions_that_are_no_tools() -> None:
    config = told(tools={"allow": ["read"]})
    assert verdict(config, "permission", "external_directory:/tmp") == "allow"
    assert verdict(config, "permission", "shell:ls") == "deny"
    denied = told(tools={"allow": ["read"], "deny": ["external_directory"]})
    assert verdict(denied, "permission", "external_directory:/tmp") == "deny"
