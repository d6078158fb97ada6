"""opencode 1.18.33 calls models through the deployed gateway, logged in or with a key.

It calls each model with the library of the model's format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from opencode_cloud.kit.money import DOLLAR
from tests.integration.tokens import access_token
from tests.upstreams import Call, Fault, Kind, Script, Usage
from tests.upstreams.scripts import TITLE
from tests.upstreams.sdks import SDKS
from tests.upstreams.world import PROVIDER, UPSTREAM_OF, Shop, World, model_of
from tests.waiting import eventually, until

from . import binaries
from .model import ScriptedModel
from .opencode import Client, Home

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("gateway")]
FORMATS = sorted(SDKS)
TURNS = [
    pytest.param(credential, asked, id=f"{credential}-{asked}", marks=[] if quick else [pytest.mark.slow])
    for credential, asked, quick in (
        *(("logged in", asked, asked == "messages") for asked in FORMATS),
        *(("with a key", asked, False) for asked in FORMATS),
    )
]
MakeHome = Callable[[dict[str, Any]], Home]


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    return world.shop()


@pytest.fixture(scope="module")
def make_home(world: World, tmp_path_factory: pytest.TempPathFactory) -> MakeHome:
    """Return a function that creates the home of a client with these settings and no other model."""

    def make(settings: dict[str, Any]) -> Home:
        root = tmp_path_factory.mktemp("gateway") / "home"
        home = Home.create(root, "current", ScriptedModel(world.upstreams.url), world.stack.url)
        configured = {**settings, "permission": {"edit": "allow", "bash": "allow"}}
        (root / "config" / "opencode" / "opencode.json").write_text(json.dumps(configured))
        return home

    return make


def with_key(shop: Shop) -> dict[str, Any]:
    """Return settings of a client with a key: one provider, and the library of each model's format."""
    libraries = {
        "chat": "@ai-sdk/openai-compatible",
        "responses": "@ai-sdk/openai",
        "messages": "@ai-sdk/anthropic",
        "generate": "@ai-sdk/google",
    }
    models = {
        model_of(format_): {"name": format_, "tool_call": True, "provider": {"npm": library}}
        for format_, library in libraries.items()
    }
    options = {"baseURL": f"{shop.world.stack.url}/zen/v1", "apiKey": "{env:OPENCODE_API_KEY}"}
    provider = {"npm": libraries["chat"], "name": "Ours", "options": options, "models": models}
    return {"provider": {PROVIDER: provider}, "small_model": f"{PROVIDER}/{model_of('chat')}"}


@dataclass(frozen=True)
class KeyedHome(Home):
    """Return a home with OPENCODE_API_KEY set."""

    key: str = ""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "OPENCODE_API_KEY": self.key}


@pytest.fixture(scope="module")
def clients(shop: Shop, make_home: MakeHome) -> Iterator[dict[str, Client]]:
    """Run a client that is logged in, and one that has a key."""
    logged_in = make_home({})
    logged_in.become(shop.owner.account, access_token(shop.world.stack, shop.owner), shop.workspace)
    made = make_home(with_key(shop))
    keyed = KeyedHome(made.root, binaries.find("current"), made.model, made.share_url, key=shop.key)
    with ExitStack() as stack:
        yield {
            "logged in": stack.enter_context(logged_in.serve()),
            "with a key": stack.enter_context(keyed.serve()),
        }


def prompt(client: Client, session: str, model: str, script: Script) -> dict[str, Any]:
    """Send a prompt and wait for the end of the turn."""
    body = {
        "parts": [{"type": "text", "text": script.prompt()}],
        "model": {"providerID": PROVIDER, "modelID": model},
    }
    return client.call("POST", f"/session/{session}/message", body)


def text_of(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["parts"] if part["type"] == "text")


def bash(command: str) -> Call:
    return Call("bash", {"command": command, "description": f"runs {command}"})


@pytest.mark.parametrize(("credential", "asked"), TURNS)
def test_a_turn_with_tools_runs_and_is_charged_to_its_session(
    shop: Shop, clients: dict[str, Client], credential: str, asked: str
) -> None:
    client, before = clients[credential], len(shop.events())
    script = Script(
        say="All is well.",
        think="First a look.",
        steps=((bash("echo one; echo two"),), (bash("echo three"),)),
        usage=Usage(input=1000, cache_read=200, output=30),
    )
    session = client.start_session()
    answer = prompt(client, session.id, model_of(asked), script)
    assert text_of(answer) == "All is well."
    assert "error" not in answer["info"]
    tools = [part for message in session.messages() for part in message["parts"] if part["type"] == "tool"]
    assert [part["state"]["output"].split() for part in tools] == [["one", "two"], ["three"]]
    assert answer["info"]["tokens"]["cache"]["read"] == 200
    assert answer["info"]["tokens"]["output"] + answer["info"]["tokens"]["reasoning"] == 30

    def titled() -> None:
        assert session.info()["title"] == TITLE

    eventually(titled)
    calls = shop.events_after(before, 4)  # three of the turn, and one for its title
    turn = [each for each in calls if each.model == model_of(asked) and each.format == asked]
    assert [each.outcome for each in calls] == ["completed"] * 4
    assert {each.upstream for each in turn} == {UPSTREAM_OF[asked]}
    assert len({each.session for each in calls}) == 1
    assert calls[0].session.startswith("ses_")
    assert calls[0].session != session.id
    (request,) = {each.request for each in calls}
    assert request == session.messages()[0]["info"]["id"]
    keys = {each.key_id for each in calls}
    assert keys == ({""} if credential == "logged in" else {shop.key_id})
    assert all(each.member_id for each in calls)


@pytest.mark.slow
def test_an_answer_that_breaks_off_is_told_and_tried_again(shop: Shop, clients: dict[str, Client]) -> None:
    client = clients["with a key"]
    script = Script(say="one two three four five six", faults={"anthropic": Fault(Kind.CUT, after=6, times=1)})
    session = client.start_session("Titled")
    answer = prompt(client, session.id, model_of("messages"), script)
    assert text_of(answer).endswith("one two three four five six"), str(answer["info"])
    assert [record.notes["number"] for record in shop.world.upstreams.of(script)] == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("asked", FORMATS)
def test_a_budget_that_is_used_up_is_shown_as_it_is_said(world: World, make_home: MakeHome, asked: str) -> None:
    shop = world.shop()
    wish = {"scope": "workspace", "unit": "cost", "period": "month", "limit": DOLLAR // 100}
    assert shop.owner.http.post(f"{shop.path}/budgets", json=wish).status_code == 201
    made = make_home(with_key(shop))
    home = KeyedHome(made.root, made.binary, made.model, made.share_url, key=shop.key)
    until(lambda: shop.known().budgets)
    said = home.try_to_run("run", "--model", f"{PROVIDER}/{model_of(asked)}", Script().prompt())
    assert "monthly budget of" in said
    assert "$0.01" in said
    assert "opencode.ai" not in said
    assert shop.events() == []


@pytest.mark.slow
def test_a_rate_limit_is_waited_for(world: World, make_home: MakeHome) -> None:
    shop = world.shop()
    wish = {"scope": "workspace", "unit": "requests", "period": "minute", "limit": 1}
    assert shop.owner.http.post(f"{shop.path}/budgets", json=wish).status_code == 201
    made = make_home({**with_key(shop), "small_model": f"{PROVIDER}/nonesuch"})
    home = KeyedHome(made.root, made.binary, made.model, made.share_url, key=shop.key)
    script = Script(steps=((bash("echo one"),),), say="After the minute.")
    with home.serve() as client:
        session = client.start_session("Titled")
        answer = prompt(client, session.id, model_of("chat"), script)
    assert text_of(answer) == "After the minute."
    first, second = (event.at // 1000 for event in shop.events_after(0, 2))
    assert second // 60 > first // 60


@pytest.mark.slow
def test_a_tool_that_the_policy_denies_is_off_in_a_client_that_is_logged_in_and_refused_of_others(
    world: World, make_home: MakeHome
) -> None:
    shop = world.shop()
    policy = {"policy": {"tools": {"deny": ["webfetch"]}}}
    published = shop.owner.http.put(f"{shop.path}/policy", json=policy, headers={"If-Match": '"0"'})
    assert published.status_code == 200, published.text
    until(lambda: shop.known().policy.tools.deny)
    home, script = make_home({}), Script(say="Fine.")
    home.become(shop.owner.account, access_token(world.stack, shop.owner), shop.workspace)
    with home.serve() as client:
        session = client.start_session("Titled")
        assert text_of(prompt(client, session.id, model_of("chat"), script)) == "Fine."
    [record] = world.upstreams.of(script)
    offered = {tool["function"]["name"] for tool in record.body["tools"]}
    assert "bash" in offered
    assert "webfetch" not in offered
    made = make_home(with_key(shop))
    keyed = KeyedHome(made.root, made.binary, made.model, made.share_url, key=shop.key)
    said = keyed.try_to_run("run", "--model", f"{PROVIDER}/{model_of('chat')}", Script().prompt())
    assert "The tool `webfetch` is not permitted by the workspace's policy" in said
