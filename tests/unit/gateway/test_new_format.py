"""The recipe "A model format" (CONTRIBUTING): the gateway needs a folder and its registration, and no other change."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from opencode_cloud.catalogue.models import Format, Route
from opencode_cloud.gateway.formats import WIRE_FORMATS
from opencode_cloud.gateway.routes import Gateway
from opencode_cloud.gateway.store.requests import address
from tests.unit.gateway.asking import nothing
from tests.unit.gateway.calling import Rig, Scripted, delta, sse
from tests.unit.gateway.catalogues import catalogue, model, upstream
from tests.unit.gateway.formats.toy import TOY

CONVERSATION = [{"role": "user", "content": "Hi"}]
[PATH] = TOY.client_paths
MESSAGE = json.dumps(
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
).encode()


async def post(rig: Rig, path: str, body: dict[str, Any]) -> httpx.Response:
    admission: Any = None  # only the list of models needs it
    app = Gateway(rig.calls, admission, longest_body=10_000).app(nothing)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        return await client.post(path, json={"model": "m1", **body}, headers={"x-api-key": "oc_sk_x"})


def rig_with(script: Scripted, *formats: Format) -> Rig:
    return Rig(catalogue(model(Route(upstream="a", model="theirs", formats=formats)), a=upstream()), lambda _: script)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only registration."""
    monkeypatch.setitem(WIRE_FORMATS, TOY.name, TOY)


async def test_a_client_of_the_new_format_is_served_by_an_upstream_of_another() -> None:
    rig = rig_with(Scripted((MESSAGE,), 200, "application/json"), Format.MESSAGES)
    response = await post(rig, PATH, {"talk": CONVERSATION})
    [(_, body)] = rig.asked
    assert json.loads(body)["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert response.json()["choices"][0]["message"]["content"] == "Hello"
    [(event, settled)] = rig.told
    assert (event.format, event.tokens.prompt, event.tokens.output, settled) == ("toy", 10, 5, True)


async def test_an_upstream_of_the_new_format_serves_clients_of_another() -> None:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 10}}
    rig = rig_with(Scripted((sse(delta("Hello"), end, b"[DONE]"),)), TOY.name)
    body = {"max_tokens": 50, "messages": CONVERSATION, "stream": True}
    response = await post(rig, "/zen/v1/messages", body)
    [(target, sent)] = rig.asked
    assert address(target, stream=True) == "http://127.0.0.1:1/v1/talk"
    assert json.loads(sent)["talk"] == CONVERSATION
    assert "text_delta" in response.text
    assert response.text.rstrip().endswith('{"type":"message_stop"}')


async def test_errors_reach_clients_of_the_new_format() -> None:
    response = await post(rig_with(Scripted(), Format.CHAT), PATH, {"talk": []})
    assert response.status_code == 400
    assert "talk must not be empty" in response.json()["error"]["message"]
