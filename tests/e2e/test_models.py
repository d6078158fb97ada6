"""The unmodified client lists the models that the workspace may use, and no others."""

from __future__ import annotations

import secrets

import pytest

from opencode_cloud.contracts.permissions import Role
from tests.integration.tokens import access_token
from tests.upstreams.world import PROVIDER, Shop, World

from .conftest import MakeHome
from .opencode import Home

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("gateway")]
ALLOWED = {"allow": [f"{PROVIDER}/scripted-*"], "deny": [f"{PROVIDER}/*-bedrock"]}


def listed(home: Home, **environment: str) -> set[str]:
    """Return the models of our provider that ``opencode models`` lists."""
    lines = home.run("models", environment=environment).split()
    return {line.partition("/")[2] for line in lines if line.startswith(f"{PROVIDER}/")}


def permitted(shop: Shop) -> set[str]:
    """Return the models for answers that the API says the workspace may use. Clients list no others."""
    models = shop.owner.http.get(f"{shop.path}/models").json()["data"]
    found = {each["id"] for each in models if each["kind"] == "generation"}
    assert found
    return found


def restrict(shop: Shop) -> None:
    body = {"policy": {"models": ALLOWED}}
    assert shop.owner.http.put(f"{shop.path}/policy", json=body, headers={"If-Match": '"0"'}).is_success


@pytest.mark.slow
def test_a_client_that_is_pointed_to_a_workspaces_address_lists_what_it_may_use(
    world: World, make_home: MakeHome
) -> None:
    shop = world.shop()
    restrict(shop)
    address = shop.owner.http.get(f"{shop.path}/models").json()["models_url"]
    # The client does not wait long for a first answer. It then shows its built-in list, and ours from its next start.
    assert shop.owner.http.get(f"{address}/api.json").is_success
    found = listed(
        make_home(), OPENCODE_MODELS_URL=address, OPENCODE_API_KEY=shop.key, OPENCODE_DISABLE_MODELS_FETCH="0"
    )
    assert found == permitted(shop) < set(world.catalogue()["models"])


@pytest.mark.slow
def test_a_client_that_is_pointed_to_the_stage_lists_every_model(world: World, make_home: MakeHome) -> None:
    shop = world.shop()
    found = listed(
        make_home(),
        OPENCODE_MODELS_URL=world.stack.url,
        OPENCODE_API_KEY=shop.key,
        OPENCODE_DISABLE_MODELS_FETCH="0",
    )
    assert found == set(world.catalogue()["models"])


@pytest.mark.slow
def test_a_client_that_has_logged_in_lists_what_it_may_use_without_any_setting(
    world: World, make_home: MakeHome
) -> None:
    shop, home = world.shop(), make_home()
    member = world.people.joined(shop.owner, shop.workspace, Role.MEMBER, f"{secrets.token_hex(4)}@example.com")
    home.become(member.account, access_token(world.stack, member), shop.workspace)
    assert listed(home) == permitted(shop) == set(world.catalogue()["models"])
    restrict(shop)
    assert listed(home) == permitted(shop) < set(world.catalogue()["models"])


@pytest.mark.slow
def test_the_client_asks_each_model_in_its_own_format(world: World, make_home: MakeHome) -> None:
    shop, home = world.shop(), make_home()
    home.become(shop.owner.account, access_token(world.stack, shop.owner), shop.workspace)
    with home.serve() as client:
        known = {each["id"]: each for each in client.call("GET", "/config/providers")["providers"]}
    models = known[PROVIDER]["models"]
    libraries = {name: model["api"]["npm"] for name, model in models.items() if name.startswith("scripted-")}
    assert libraries == {
        "scripted-chat": "@ai-sdk/openai-compatible",
        "scripted-few": "@ai-sdk/openai-compatible",
        "scripted-messages": "@ai-sdk/anthropic",
        "scripted-bedrock": "@ai-sdk/anthropic",
        "scripted-responses": "@ai-sdk/openai",
        "scripted-generate": "@ai-sdk/google",
    }
    chat = models["scripted-chat"]
    assert (chat["cost"]["input"], chat["cost"]["output"], chat["cost"]["cache"]["read"]) == (1, 10, 0.1)
    assert chat["limit"]["context"] == 200_000
