"""The compilation of a policy and a document, for clients and for the planes that enforce it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opencode_cloud.contracts.access import FallbackReason, matches
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.policies.compilation import client_config, configuration, enforced
from opencode_cloud.policies.models import Policy
from opencode_cloud.policies.validation import form_faults

DOCUMENT: dict[str, Any] = {
    "provider": {
        "acme": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Acme",
            "options": {"baseURL": "https://gw.example/v1", "apiKey": "{env:OPENCODE_CONSOLE_TOKEN}"},
            "models": {
                "m1": {"name": "M1", "tool_call": True, "modalities": {"input": ["text"], "output": ["text"]}},
                "m2": {"cost": {"input": 1, "output": 2, "cache_read": 0.1}},
            },
        },
        "other": {"options": {"apiKey": "{env:OTHER}"}},
    },
    "model": "acme/m2",
    "permission": {"bash": {"*": "ask", "git *": "allow"}},
}


def compiled(**policy: Any) -> dict[str, Any]:
    return client_config(Policy.model_validate(policy), DOCUMENT, WorkspaceId("wrk_1"))


def test_the_planes_get_the_chains_of_fallbacks() -> None:
    rule = {"model": "acme/m1", "to": ["acme/m2"], "when": ["unavailable", "budget"], "budget_percent": 80}
    [chain] = enforced(Policy.model_validate({"fallbacks": [rule]}), 1).fallbacks
    assert (chain.model, chain.to, chain.when, chain.budget_percent) == (
        "acme/m1",
        ("acme/m2",),
        (FallbackReason.UNAVAILABLE, FallbackReason.BUDGET),
        80,
    )
    assert enforced(Policy(), 1).fallbacks == ()


@pytest.mark.parametrize(
    "rules",
    [
        [{"model": "acme/m1", "to": ["acme/m1"], "when": ["context"]}],
        [{"model": "acme/m1", "to": [], "when": ["context"]}],
        [{"model": "acme/m1", "to": ["acme/m2"], "when": []}],
        [{"model": "acme/m1", "to": ["acme/m2"], "when": ["rain"]}],
        [{"model": "m1", "to": ["acme/m2"], "when": ["context"]}],
        [{"model": "acme/m1", "to": ["acme/m2"], "when": ["context"], "budget_percent": 0}],
        [{"model": "acme/m1", "to": ["acme/m2"], "when": ["context"]}] * 2,
        [{"model": "acme/m1", "to": ["acme/a", "acme/b", "acme/c", "acme/d"], "when": ["context"]}],
    ],
)
def test_a_chain_that_cannot_serve_is_refused(rules: list[Any]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate({"fallbacks": rules})


def test_the_planes_get_the_budget_of_a_session() -> None:
    assert enforced(Policy(session_budget=500), 1).session_budget == 500
    assert enforced(Policy(), 1).session_budget is None


def test_an_empty_policy_over_no_document_is_no_config() -> None:
    assert configuration(Policy(), {}, WorkspaceId("wrk_1")) is None


def test_our_gateway_is_told_the_workspace_and_nobody_else() -> None:
    config = compiled()
    assert config["provider"]["acme"]["options"]["headers"] == {"x-org-id": "wrk_1"}
    assert "headers" not in config["provider"]["other"]["options"]
    assert "headers" not in DOCUMENT["provider"]["acme"]["options"]


def test_models_of_the_policy_win() -> None:
    config = compiled(default_model="acme/m1", small_model="acme/m1")
    assert (config["model"], config["small_model"]) == ("acme/m1", "acme/m1")


def test_sharing_can_be_off() -> None:
    assert compiled(share={"mode": "off"})["share"] == "disabled"
    assert "share" not in compiled(share={"mode": "workspace"})


def test_exact_providers_are_listed() -> None:
    config = compiled(providers={"allow": ["acme", "openai"], "deny": ["openai"]})
    assert config["enabled_providers"] == ["acme"]
    assert config["disabled_providers"] == ["openai", "other"]
    assert [each["effect"] for each in config["experimental"]["policies"]] == ["deny", "allow", "allow", "deny"]


def test_wildcards_of_providers_are_left_to_the_gateway_and_to_later_clients() -> None:
    config = compiled(providers={"allow": ["ac*"]})
    assert "enabled_providers" not in config
    assert config["disabled_providers"] == ["other"]
    assert config["experimental"]["policies"][-1] == {"action": "provider.use", "effect": "allow", "resource": "ac*"}


def test_exact_models_are_listed_by_provider() -> None:
    config = compiled(models={"allow": ["acme/m1", "openai/gpt-5"], "deny": ["openai/gpt-4"]})
    assert config["provider"]["acme"]["whitelist"] == ["m1"]
    assert config["provider"]["acme"]["blacklist"] == ["m2"]
    assert config["provider"]["openai"] == {"whitelist": ["gpt-5"], "blacklist": ["gpt-4"]}
    assert config["provider"]["other"]["whitelist"] == []
    assert config["enabled_providers"] == ["acme", "openai"]


def test_wildcards_of_models_hide_what_the_document_defines() -> None:
    config = compiled(models={"deny": ["*/m2*"]})
    assert config["provider"]["acme"]["blacklist"] == ["m2"]
    assert "whitelist" not in config["provider"]["acme"]


def test_denied_tools_are_denied_whatever_the_document_says() -> None:
    assert compiled(tools={"deny": ["bash", "mcp_*"]})["permission"] == {"bash": "deny", "mcp_*": "deny"}


def test_an_allow_list_of_tools_denies_the_rest_and_keeps_what_the_document_asks() -> None:
    permission = compiled(tools={"allow": ["bash", "read"]})["permission"]
    assert next(iter(permission)) == "*"
    assert permission["*"] == "deny"
    assert permission["bash"] == {"*": "ask", "git *": "allow"}
    assert permission["read"]["*.env"] == "ask"
    assert permission["edit"] == permission["webfetch"] == "deny"


def test_clients_of_the_second_generation_get_providers_without_credentials() -> None:
    known = configuration(Policy.model_validate({"models": {"deny": ["acme/m2"]}}), DOCUMENT, WorkspaceId("wrk_1"))
    assert known is not None
    providers = json.loads(bytes(known.providers))
    assert providers["acme"]["settings"] == {"baseURL": "https://gw.example/v1"}
    assert providers["acme"]["headers"] == {"x-org-id": "wrk_1"}
    assert providers["acme"]["package"] == "@ai-sdk/openai-compatible"
    assert providers["acme"]["models"]["m1"]["capabilities"] == {"tools": True, "input": ["text"], "output": ["text"]}
    assert providers["acme"]["models"]["m2"]["disabled"] is True
    assert providers["acme"]["models"]["m2"]["cost"] == [{"input": 1, "output": 2, "cache": {"read": 0.1}}]
    assert "env:" not in json.dumps(providers)


def test_the_tag_changes_with_the_contents_only() -> None:
    tags = [
        configuration(Policy(), document, WorkspaceId("wrk_1")) for document in (DOCUMENT, DOCUMENT, {"model": "a/b"})
    ]
    assert [known.etag for known in tags if known] == [tags[0].etag, tags[0].etag, tags[2].etag]  # pyright: ignore
    assert tags[0] != tags[2]


def test_a_default_model_that_the_policy_forbids_is_refused() -> None:
    with pytest.raises(ValidationError, match="default_model openai/gpt-5 is not among"):
        Policy.model_validate({"default_model": "openai/gpt-5", "models": {"allow": ["acme/*"]}})


NAMES = st.sampled_from(["acme", "openai", "other", "o*", "*", "ac?e"])
MODELS = st.tuples(NAMES, st.sampled_from(["m1", "m2", "m*", "*", "x"])).map("/".join) | st.just("*")
TOOLS = st.sampled_from(["bash", "edit", "mcp_*", "*", "read", "external_directory"])


def rules(names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(names, max_size=3)
    return st.fixed_dictionaries({"allow": st.none() | lists, "deny": lists})


POLICIES = st.fixed_dictionaries(
    {
        "providers": rules(NAMES),
        "models": rules(MODELS),
        "tools": rules(TOOLS),
        "share": st.fixed_dictionaries({"mode": st.sampled_from(["off", "workspace", "link"])}),
    }
)


@given(POLICIES)
def test_whatever_the_policy_the_client_accepts_what_it_compiles_to(policy: dict[str, Any]) -> None:
    config = compiled(**policy)
    assert form_faults(config) == []


@given(POLICIES)
def test_clients_are_never_shown_more_than_is_enforced(policy: dict[str, Any]) -> None:
    """Patterns resolve only to models that the document defines. The gateway enforces the rest."""
    checked, config = enforced(Policy.model_validate(policy), 1), compiled(**policy)
    enabled, disabled = config.get("enabled_providers"), config.get("disabled_providers", [])
    entry = config["provider"]["acme"]
    for model in DOCUMENT["provider"]["acme"]["models"]:
        shown = (enabled is None or "acme" in enabled) and "acme" not in disabled
        shown &= model not in entry.get("blacklist", []) and model in entry.get("whitelist", [model])
        assert shown == checked.permits_model("acme", model)


@given(POLICIES, st.sampled_from(["bash", "edit", "read", "mcp_x", "webfetch"]))
def test_tools_are_denied_as_the_policy_says(policy: dict[str, Any], tool: str) -> None:
    permission = compiled(**policy).get("permission", {})
    verdicts = [value for pattern, value in permission.items() if matches(pattern, tool)]
    denied = bool(verdicts) and verdicts[-1] == "deny"
    assert denied != enforced(Policy.model_validate(policy), 1).tools.permit_tool(tool)
