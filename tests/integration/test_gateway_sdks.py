"""The providers' own SDKs against the deployed gateway: every format calls models of every upstream's format.

An upstream answers with the parsed request, so the test detects any loss on the way. The usage in the SDK's answer
equals the usage event.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as google_errors

from tests.e2e.images import noise_png
from tests.upstreams import Call, Fault, Kind, Script, Usage
from tests.upstreams.sdks import SDKS
from tests.upstreams.world import UPSTREAM_OF, Shop, World, ask, cost_of, model_of
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("gateway")

FORMATS = sorted(SDKS)
PAIRS = [
    pytest.param(
        asked, spoken, id=f"{asked}-{spoken}", marks=[] if asked == spoken or number % 3 == 0 else [pytest.mark.slow]
    )
    for number, (asked, spoken) in enumerate((asked, spoken) for asked in FORMATS for spoken in FORMATS)
]
"""Each format with itself, and some other pairs. `make test-slow` runs all sixteen pairs."""
PNG = noise_png(2_000)
USED = Usage(input=300, cache_read=40, output=25, reasoning=5)
WEATHER, TIME = Call("weather", {"place": "Bern"}), Call("time", {"place": "Zürich"})
Errors = tuple[type[Exception], ...]


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    return world.shop()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("asked", "spoken"), PAIRS)
def test_a_text_comes_with_reasoning_and_the_usage_that_is_charged(
    shop: Shop, asked: str, spoken: str, stream: bool
) -> None:
    script = Script(say="It is sunny  today.\n\nReally — ☀", think="Let me look outside.", usage=USED)
    answer = ask(shop.sdk(asked), model_of(spoken), script, stream=stream, reasoning=True)
    assert (answer.text, answer.thought, answer.stop) == (script.say, script.think, "end")
    assert (answer.prompt_tokens, answer.cached_tokens, answer.output_tokens) == (340, 40, 25)

    event = shop.event(script)
    tokens = event.tokens
    assert (tokens.input, tokens.cache_read, tokens.cache_write, tokens.output) == (300, 40, 0, 25)
    assert (event.model, event.upstream, event.format) == (model_of(spoken), UPSTREAM_OF[spoken], asked)
    assert (event.outcome, event.status, event.attempts, event.streamed) == ("completed", 200, 1, stream)
    assert event.cost == event.charged == cost_of(event) > 0
    assert not event.estimated
    (record,) = shop.world.upstreams.ended(script)
    assert (record.notes["wire"], record.notes["stream"]) == (spoken, stream)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("asked", "spoken"), PAIRS)
def test_tools_are_called_and_their_results_come_back(shop: Shop, asked: str, spoken: str, stream: bool) -> None:
    script = Script(say="Sunny at noon.", think="Two things.", steps=((WEATHER, TIME), (WEATHER,)))
    sdk, wish = shop.sdk(asked), {"system": "Be brief.", "tools": ("weather", "time"), "reasoning": True}
    first = ask(sdk, model_of(spoken), script, stream=stream, **wish)
    assert [(tool, said) for _, tool, said in first.calls] == [(each.tool, each.arguments) for each in (WEATHER, TIME)]
    assert len({call for call, _, _ in first.calls}) == (1 if asked == "generate" and not first.calls[0][0] else 2)
    assert first.stop == "calls"
    history = sdk.results(first, ["sunny", "noon"])
    second = ask(sdk, model_of(spoken), script, stream=stream, history=history, **wish)
    assert [tool for _, tool, _ in second.calls] == ["weather"]
    history += sdk.results(second, ["still sunny"])
    last = ask(sdk, model_of(spoken), script, stream=stream, history=history, **wish)
    assert (last.text, last.calls, last.stop) == ("Sunny at noon.", [], "end")

    heard = shop.world.upstreams.ended(script)[-1].notes["heard"]
    assert [word in said for word, said in zip(("sunny", "noon", "still"), heard["results"], strict=True)] == [True] * 3
    assert [json.loads(each.partition(" ")[2])["place"] for each in heard["called"]] == ["Bern", "Zürich", "Bern"]
    assert (heard["system"], heard["tools"]) == ("Be brief.", ["weather", "time"])
    # A client can receive its last event before the call is settled.
    until(lambda: len(shop.events_of(script)) == 3)


@pytest.mark.parametrize(("asked", "spoken"), PAIRS)
def test_an_upstream_understands_all_that_was_asked(shop: Shop, asked: str, spoken: str) -> None:
    wish: dict[str, Any] = {"system": "Be brief.", "image": PNG, "tools": ("weather",), "max_output": 777}
    heard = json.loads(ask(shop.sdk(asked), model_of(spoken), Script(describe=True), stream=False, **wish).text)
    assert heard["images"] == [hashlib.sha256(PNG).hexdigest()]
    assert (heard["system"], heard["tools"], heard["max_output"]) == ("Be brief.", ["weather"], 777)


@pytest.mark.parametrize("stop", ["length", "filter"])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("asked", "spoken"), PAIRS)
def test_the_reason_why_an_answer_ended_is_told(shop: Shop, asked: str, spoken: str, stream: bool, stop: str) -> None:
    assert ask(shop.sdk(asked), model_of(spoken), Script(say="And so", stop=stop), stream=stream).stop == stop


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("asked", FORMATS)
def test_bedrock_is_asked_in_any_format(shop: Shop, asked: str, stream: bool) -> None:
    script = Script(say="From the rock.", usage=USED)
    answer = ask(shop.sdk(asked), "scripted-bedrock", script, stream=stream)
    assert (answer.text, answer.prompt_tokens, answer.output_tokens) == ("From the rock.", 340, 25)
    (record,) = shop.world.upstreams.ended(script)
    assert record.notes["model"] == "anthropic.scripted-v1:0"
    assert record.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
    assert shop.event(script).upstream == "bedrock"


CLASSES: dict[str, dict[int, Errors]] = {
    "chat": {
        400: (openai.BadRequestError,),
        401: (openai.AuthenticationError,),
        404: (openai.NotFoundError,),
        429: (openai.RateLimitError,),
    },
    "messages": {
        400: (anthropic.BadRequestError,),
        401: (anthropic.AuthenticationError,),
        404: (anthropic.NotFoundError,),
        429: (anthropic.RateLimitError,),
    },
    "generate": dict.fromkeys((400, 401, 404, 429), (google_errors.ClientError,)),
}
CLASSES["responses"] = CLASSES["chat"]


@pytest.mark.parametrize("asked", FORMATS)
def test_errors_are_of_the_class_that_the_sdk_has_for_them_and_say_why(shop: Shop, asked: str) -> None:
    sdk, script = shop.sdk(asked), Script()
    with pytest.raises(CLASSES[asked][401]) as raised:
        ask(shop.sdk(asked, key="oc_sk_unknown"), model_of(asked), script)
    assert "key" in str(raised.value).lower()
    with pytest.raises(CLASSES[asked][404], match="no model `nonesuch`"):
        ask(sdk, "nonesuch", script)
    assert shop.world.upstreams.of(script) == []


@pytest.mark.parametrize("spoken", ["same", "other"])
@pytest.mark.parametrize("asked", FORMATS)
def test_what_an_upstream_says_against_a_request_reaches_the_client(shop: Shop, asked: str, spoken: str) -> None:
    other = FORMATS[(FORMATS.index(asked) + 1) % len(FORMATS)]
    model = model_of(asked if spoken == "same" else other)
    refused = Script(faults={"*": Fault(Kind.STATUS, status=400)})
    with pytest.raises(CLASSES[asked][400], match="Scripted failure 400"):
        ask(shop.sdk(asked), model, refused)
    event = shop.event(refused)
    assert (event.outcome, event.cost, event.attempts) == ("refused", 0, 1)
    busy = Script(faults={"*": Fault(Kind.STATUS, status=429, retry_after="30")})
    with pytest.raises(CLASSES[asked][429]) as raised:
        ask(shop.sdk(asked), model, busy)
    response = raised.value.response  # type: ignore[attr-defined]
    assert response.headers["retry-after"] == "30"
    assert (shop.event(busy).outcome, shop.event(busy).cost) == ("failed", 0)
