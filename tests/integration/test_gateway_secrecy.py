"""A model call leaves only its usage event: no prompt, no answer, no key, no session id (invariant I4)."""

from __future__ import annotations

import secrets
import time

import pytest

from local.stack import LocalStack
from tests.integration.dumps import kept, leaks
from tests.integration.publisher import new_session_id
from tests.upstreams import Call, Fault, Kind, Script
from tests.upstreams.world import Shop, World, ask, model_of
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("gateway")


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    return world.shop()


@pytest.fixture(scope="module")
def hidden(shop: Shop) -> dict[str, str]:
    """Make calls of every kind; return the texts that must not be stored."""
    hidden = {name: f"{secrets.token_hex(8)}canary" for name in ("answer", "thought", "argument", "broken answer")}
    hidden["session id"] = new_session_id()
    hidden["key"] = shop.key
    hidden["own key of the workspace"] = f"sk-ant-{secrets.token_hex(24)}"
    call = Call("bash", {"command": hidden["argument"]})
    for format_ in ("chat", "messages", "responses", "generate"):
        sdk = shop.sdk(format_, **{"x-opencode-session": hidden["session id"]})
        asked = ask(sdk, model_of("messages"), Script(think=hidden["thought"], steps=((call,),)), tools=[call.tool])
        assert [arguments for _, _, arguments in asked.calls] == [call.arguments]
        said = ask(sdk, model_of("messages"), Script(say=hidden["answer"], think=hidden["thought"]))
        assert said.text == hidden["answer"]
    own = {"provider": "anthropic", "name": "own", "secret": hidden["own key of the workspace"]}
    made = shop.owner.http.post(f"{shop.path}/providers", json=own)
    assert made.status_code == 201, made.text

    def with_own_key() -> None:
        script = Script(say=hidden["answer"])
        ask(shop.sdk("messages"), model_of("messages"), script)
        [record] = shop.world.upstreams.of(script)
        assert record.headers["x-api-key"] == hidden["own key of the workspace"]
        assert shop.event(script).byok

    eventually(with_own_key)
    broken = Script(say=hidden["broken answer"], faults={"anthropic": Fault(Kind.STATUS, status=500)})
    refused = shop.post(
        "/zen/v1/messages",
        {"model": model_of("messages"), "max_tokens": 9, "messages": [{"role": "user", "content": broken.prompt()}]},
    )
    assert refused.status_code == 502
    time.sleep(3)  # wait for streams, queues, and the writing of logs
    return hidden


def test_nothing_of_a_call_is_kept_but_its_event(stack: LocalStack, hidden: dict[str, str]) -> None:
    assert leaks(stack, hidden) == []


def test_the_search_would_find_what_is_there(stack: LocalStack, shop: Shop, hidden: dict[str, str]) -> None:
    places = dict(kept(stack))
    assert shop.workspace.encode() in places["gateway.log"]
    assert shop.workspace.encode() in places["MySQL"]
    assert any(b'"outcome":"completed"' in content for content in places.values())
