"""opencode 1.18.33 is answered by the scripted model of `make dev` through the gateway, without a provider's key."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from local.demo_model import MODEL, SMALL_MODEL, DemoModel
from local.demo_model.offering import UPSTREAM, start
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.money import exact
from tests.documented_commands import documented
from tests.integration.tokens import access_token
from tests.upstreams.world import Shop, World
from tests.waiting import eventually, until

from .model import ScriptedModel
from .opencode import Home

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("gateway")]
INPUT, OUTPUT, CACHED = 100, 500, 10
"""Micro-cents for a token of input, of output, and of input from the cache."""


@pytest.fixture(scope="module")
def offered(world: World) -> Iterator[DemoModel]:
    """Offer the model in the catalogue of the stage, as `make dev` does it without keys of providers."""
    mark = world.stack.state / "demo-model.json"
    mark.unlink(missing_ok=True)
    model = start(world.stack, demo=False, keys=False, pace=0)
    assert model is not None
    yield model
    model.program.stop()
    mark.unlink()
    world.begin()


@pytest.fixture(scope="module")
def shop(world: World, offered: DemoModel) -> Shop:
    shop = world.shop()

    def listed() -> bool:
        return MODEL in {each["id"] for each in shop.owner.http.get(f"{shop.path}/models").json()["data"]}

    until(listed)
    # The gateway looks for a new catalogue, and for the key of a new upstream, every few seconds.
    until(lambda: shop.post("/zen/v1/chat/completions", {"model": MODEL, "messages": HELLO}).is_success)
    return shop


HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def home(shop: Shop, world: World, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return the home of a client without a model, or any other setting than permission to run commands."""
    root = tmp_path_factory.mktemp("demo") / "home"
    home = Home.create(root, "current", ScriptedModel(world.upstreams.url), world.stack.url)
    settings = {"permission": {"bash": "allow"}}
    (root / "config" / "opencode" / "opencode.json").write_text(json.dumps(settings))
    return home


def documented_run(prompt: str) -> list[str]:
    """Return the arguments of the command of docs/quickstart.md that runs a prompt."""
    lines = [
        line for block in documented() if block.document == "docs/quickstart.md" for line in block.text.split("\n")
    ]
    (command,) = (words for words in map(shlex.split, lines) if words[1:2] == ["run"] and words[-1] == prompt)
    return command[1:]


def cost_of(event: UsageEvent) -> int:
    used = event.tokens
    return used.input * INPUT + used.output * OUTPUT + used.cache_read * CACHED


def test_a_logged_in_client_is_answered_and_charged(shop: Shop, home: Home) -> None:
    home.become(shop.owner.account, access_token(shop.world.stack, shop.owner), shop.workspace)
    before = len(shop.events())
    assert "scripted model of this laptop" in home.run(*documented_run("hello"))

    def charged() -> None:
        # The stage of these tests has a small model of its own, which writes the title.
        (call,) = (each for each in shop.events()[before:] if each.model == MODEL)
        assert (call.upstream, call.outcome) == (UPSTREAM, "completed")
        assert call.cost == cost_of(call) > 0

    eventually(charged)


def test_the_model_calls_a_tool_of_the_client_when_it_is_asked_to(shop: Shop, home: Home) -> None:
    home.become(shop.owner.account, access_token(shop.world.stack, shop.owner), shop.workspace)
    (home.project / "notes.txt").touch()
    said = home.run(*documented_run("run `ls`"))
    assert "The tool answered with 1 line." in said
    assert "\nnotes.txt\n" in said


def test_a_client_with_a_key_is_answered_as_the_documents_say(shop: Shop, home: Home) -> None:
    environment = {
        "OPENCODE_MODELS_URL": shop.world.stack.url,
        "OPENCODE_API_KEY": shop.key,
        "OPENCODE_DISABLE_MODELS_FETCH": "0",
    }
    said = home.run(*documented_run("what are you"), environment=environment)
    assert "no neural network" in said


def test_the_playground_asks_two_models_and_shows_what_the_calls_have_cost(shop: Shop, browser: Browser) -> None:
    url, before = f"{shop.world.stack.url}/console/{shop.workspace}", len(shop.events())
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "opencode_session", "value": shop.owner.cookie, "url": url}])
    page = context.new_page()
    page.goto(url)
    page.get_by_role("navigation", name="Workspace").get_by_role("link", name="Playground").click()
    page.get_by_label("Prompt").fill("what are you")
    page.get_by_label("Model", exact=True).select_option(MODEL)
    page.get_by_label("Compared with").select_option(SMALL_MODEL)
    page.get_by_role("button", name="Estimate the cost").click()
    assert page.get_by_role("article").count() == 2
    assert "at most about $" in page.get_by_role("article").first.inner_text()
    assert len(shop.events()) == before, "an estimate is no call"
    page.get_by_role("button", name="Ask").click()
    events = {each.model: each for each in shop.events_after(before, 2)}
    assert events.keys() == {MODEL, SMALL_MODEL}
    for name, said in (("Scripted", "no neural network"), ("Scripted Mini", f"I am {SMALL_MODEL}")):
        text = page.get_by_role("article", name=name, exact=True).inner_text()
        event = events[MODEL if name == "Scripted" else SMALL_MODEL]
        assert said in text
        assert f"${exact(event.cost)}" in text
        assert event.id in text
        assert (event.agent, event.key_id, event.account_id) == ("playground", "", shop.owner.account)


def test_a_budget_that_is_used_up_is_said_by_the_playground(shop: Shop, browser: Browser) -> None:
    limit = {"scope": "workspace", "unit": "cost", "period": "total", "limit": 1}
    made = shop.owner.http.post(f"{shop.path}/budgets", json=limit)
    assert made.is_success, made.text
    url = f"{shop.world.stack.url}/console/{shop.workspace}/playground"
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "opencode_session", "value": shop.owner.cookie, "url": url}])
    page = context.new_page()

    def refused() -> None:
        page.goto(url)
        page.get_by_label("Prompt").fill("hello")
        page.get_by_label("Model", exact=True).select_option(MODEL)
        page.get_by_role("button", name="Ask").click()
        assert "budget" in page.get_by_role("article").inner_text().lower()
        assert "the gateway refused the call" in page.get_by_role("article").inner_text()

    eventually(refused)
