"""The catalogue in the answers to clients."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.catalogue import links, listing
from opencode_cloud.catalogue.document import date, form_of
from opencode_cloud.catalogue.models import Catalogue
from opencode_cloud.contracts.access import EnforcedPolicy, EnforcedRules, KnownGroup, KnownWorkspace
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import GroupId, WorkspaceId
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.policies.offering import with_gateway
from opencode_cloud.policies.second_generation import providers
from opencode_cloud.policies.validation import form_faults
from tests.unit.catalogue.documents import DAY, document, with_model
from tests.unit.catalogue.strategies import NOW, documents

BASE = "https://cloud.example.com/zen/v1"
CATALOGUE = form_of(document()).catalogue(3)


def offered(config: dict[str, Any], policy: EnforcedPolicy | None = None) -> dict[str, Any]:
    permits = policy.permits_model if policy else listing.allow_all
    return with_gateway(config, CATALOGUE, permits, WorkspaceId("wrk_1"), BASE, NOW)


def test_api_json_is_in_the_form_that_the_client_reads() -> None:
    told = listing.listed(CATALOGUE, listing.allow_all, BASE, NOW)["acme"]
    assert {name: told[name] for name in ("id", "name", "npm", "api", "env")} == {
        "id": "acme",
        "name": "Acme",
        "npm": "@ai-sdk/openai-compatible",
        "api": BASE,
        "env": ["OPENCODE_API_KEY"],
    }
    assert told["models"]["big"] == {
        "id": "big",
        "name": "Big",
        "family": "big",
        "attachment": True,
        "reasoning": True,
        "tool_call": True,
        "temperature": False,
        "open_weights": False,
        "release_date": "2026-01-01",
        "modalities": {"input": ["text", "image"], "output": ["text"]},
        "limit": {"context": 200_000, "output": 64_000},
        "provider": {"npm": "@ai-sdk/anthropic"},
        "cost": {
            "input": 3.0,
            "output": 15.0,
            "cache_read": 0.3,
            "cache_write": 3.75,
            "context_over_200k": {"input": 6.0, "output": 22.5},
            "tiers": [{"input": 6.0, "output": 22.5, "tier": {"type": "context", "size": 200_000}}],
        },
    }


def test_each_model_is_asked_by_the_library_of_its_format() -> None:
    told = listing.listed(CATALOGUE, listing.allow_all, BASE, NOW)["acme"]["models"]
    libraries = {name: model["provider"]["npm"] for name, model in told.items()}
    assert libraries == {"big": "@ai-sdk/anthropic", "own": "@ai-sdk/openai-compatible", "tiny": "@ai-sdk/openai"}


def test_the_price_is_the_one_in_force() -> None:
    prices = [{"from": date(NOW + day * DAY), "input": amount, "output": "1"} for day, amount in ((-1, "1"), (1, "2"))]
    catalogue = form_of(with_model("own", prices=prices)).catalogue(1)

    def told(at: int) -> float:
        return listing.configured(catalogue, listing.allow_all, BASE, at)["models"]["own"]["cost"]["input"]

    assert [told(NOW), told(NOW + DAY - 1), told(NOW + DAY)] == [1.0, 1.0, 2.0]


PATTERNS = st.lists(
    st.sampled_from(["acme/big", "acme/*", "*/tiny", "other/*", "acme/?wn", "*", "acme/b*"]), max_size=3
).map(tuple)
RULES = st.builds(EnforcedRules, allow=st.none() | PATTERNS, deny=PATTERNS)
PROVIDERS = st.sampled_from(
    [EnforcedRules(), EnforcedRules(allow=("acme",)), EnforcedRules(deny=("ac*",)), EnforcedRules(allow=("other",))]
)


GENERATING = ("big", "tiny", "own")
"""An embedding model is not listed: clients would offer it for conversations."""


@given(PROVIDERS, RULES)
def test_what_is_listed_is_what_the_policy_permits(of_providers: EnforcedRules, of_models: EnforcedRules) -> None:
    policy = EnforcedPolicy(version=1, providers=of_providers, models=of_models)
    permitted = {name for name in GENERATING if policy.permits_model("acme", name)}
    assert set(listing.listed(CATALOGUE, policy.permits_model, BASE, NOW)["acme"]["models"]) == permitted
    config = offered({}, policy)
    assert set(config.get("provider", {}).get("acme", {}).get("models", {})) == permitted


# ------------------------------------------------------------------------------------- configuration


@settings(max_examples=25)
@given(documents())
def test_the_client_starts_with_whatever_may_be_published(written: dict[str, Any]) -> None:
    catalogue = form_of(written).catalogue(1)
    config = with_gateway({"username": "acme"}, catalogue, listing.allow_all, WorkspaceId("wrk_1"), BASE, NOW)
    assert form_faults(config) == []


def test_who_has_logged_in_uses_the_gateway_by_token_and_names_the_workspace() -> None:
    config = offered({"share": "manual"})
    assert config["provider"]["acme"]["options"] == {
        "baseURL": BASE,
        "apiKey": "{env:OPENCODE_CONSOLE_TOKEN}",
        "headers": {"x-org-id": "wrk_1"},
    }
    assert (config["share"], config["small_model"]) == ("manual", "acme/tiny")


@pytest.mark.parametrize(
    "config",
    [
        {"provider": {"acme": {"npm": "@ai-sdk/openai", "models": {}}}},
        {"provider": {"acme": {"options": {"baseURL": "https://elsewhere.example"}}}},
        {"enabled_providers": ["anthropic"]},
        {"disabled_providers": ["acme"]},
    ],
)
def test_a_workspace_that_says_something_else_of_the_provider_is_left_alone(config: dict[str, Any]) -> None:
    assert offered(config) == config


def test_other_providers_and_a_small_model_of_the_workspace_stay() -> None:
    own = {"provider": {"other": {"name": "Other"}}, "small_model": "other/m"}
    config = offered(own)
    assert (set(config["provider"]), config["small_model"]) == ({"other", "acme"}, "other/m")
    assert own["provider"] == {"other": {"name": "Other"}}


def test_what_a_policy_has_said_of_the_provider_stays_beside_ours() -> None:
    policy = EnforcedPolicy(version=1, models=EnforcedRules(allow=("acme/big",)))
    config = offered({"provider": {"acme": {"whitelist": ["big"]}}, "enabled_providers": ["acme"]}, policy)
    entry = config["provider"]["acme"]
    assert (entry["whitelist"], list(entry["models"])) == (["big"], ["big"])
    assert "small_model" not in config  # it is not permitted


def test_who_may_use_nothing_is_told_nothing() -> None:
    assert offered({}, EnforcedPolicy(version=1, providers=EnforcedRules(deny=("acme",)))) == {}


def test_clients_of_the_second_generation_are_told_the_same_without_credentials() -> None:
    told = providers(offered({}), EnforcedPolicy())["acme"]
    assert (told["settings"], told["headers"]) == ({"baseURL": BASE}, {"x-org-id": "wrk_1"})
    assert told["models"]["big"]["package"] == "@ai-sdk/anthropic"
    assert [each["input"] for each in told["models"]["big"]["cost"]] == [3.0, 6.0]


# --------------------------------------------------------------------------------------------- links


KEYS = st.text(min_size=1).filter(lambda key: not key.endswith("\0"))
"""HMAC pads a key with zero bytes (RFC 2104, 2), so keys that differ only in trailing NULs are one key."""
WORKSPACES = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1)


@given(KEYS, WORKSPACES, KEYS)
def test_only_the_deployment_can_make_an_address_of_a_workspace(key: str, workspace: str, other: str) -> None:
    token = links.models_url("", key, WorkspaceId(workspace)).removeprefix(links.PATH)
    assert links.workspace_of(key, token) == workspace
    for wrong in (workspace, f"{token}x", token[:-1], f"{other}.{token.partition('.')[2]}"):
        if wrong.partition(".")[0] == workspace and wrong == token:
            continue
        with pytest.raises(NotFound):
            links.workspace_of(key, wrong)
    if other != key:
        with pytest.raises(NotFound):
            links.workspace_of(other, token)


def test_an_empty_catalogue_has_an_empty_list() -> None:
    assert listing.listed(Catalogue(version=1), listing.allow_all, BASE, NOW)["opencode-cloud"]["models"] == {}


def test_what_is_listed_is_within_the_policy_the_groups_and_the_keys_own_patterns() -> None:
    group = KnownGroup(id=GroupId("grp_1"), name="Plain", models=EnforcedRules(allow=("cloud/plain",)))
    policy = EnforcedPolicy(models=EnforcedRules(deny=("cloud/secret-*",)))
    workspace = KnownWorkspace(id=WorkspaceId("wrk_1"), name="Acme", policy=policy, groups=(group,))

    def listed(**actor: Any) -> list[bool]:
        permits = listing.bounded(workspace, Actor(kind=ActorKind.MEMBER, **actor))
        return [permits("cloud", model) for model in ("plain", "other", "secret-1")]

    assert listed(models=("cloud/secret-1", "cloud/plain")) == [True, False, False]
    assert listed() == [True, True, False]
    assert listed(groups=(group.id,)) == [True, False, False]
