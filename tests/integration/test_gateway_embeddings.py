"""The providers' own SDKs ask the deployed gateway for embeddings of both forms of upstream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from google import genai
from google.genai import types

from tests.upstreams import Script
from tests.upstreams.world import PROVIDER, REQUEST, Shop, World
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("gateway")

TEXTS = ["one two", "three"]
VECTORS = [[7.0, 0.5], [5.0, 0.5]]
"""The strict upstream answers with the length of each text."""
MODELS = ["vectors-openai", "vectors-google"]


def vectors(upstream: str) -> dict[str, Any]:
    return {
        "name": "Vectors",
        "kind": "embedding",
        "limits": {"context": 8192},
        "prices": [{"from": "2026-01-01T00:00:00Z", "input": "1.00"}],
        "routes": [{"upstream": upstream, "model": "vectors"}],
    }


@pytest.fixture(scope="module")
def shop(world: World) -> Iterator[Shop]:
    """A workspace, while the catalogue has embedding models."""
    world.begin(**{f"vectors-{upstream}": vectors(upstream) for upstream in ("openai", "google")})
    yield world.shop()
    world.begin()


def charged(shop: Shop, script: Script, model: str, tokens: int) -> None:
    event = shop.event(script)
    assert (event.model, event.tokens.input, event.tokens.output, event.status) == (model, tokens, 0, 200)
    assert event.cost == event.charged == tokens * 100
    assert event.reserved >= event.cost


@pytest.mark.parametrize("model", MODELS)
def test_openais_sdk_gets_vectors_and_pays_for_them(shop: Shop, model: str) -> None:
    script = Script()
    sdk = openai.OpenAI(base_url=f"{shop.world.stack.url}/zen/v1", api_key=shop.key)
    answer = sdk.embeddings.create(model=model, input=TEXTS, extra_headers={REQUEST: script.tag})
    assert [entry.embedding for entry in sorted(answer.data, key=lambda entry: entry.index)] == VECTORS
    charged(shop, script, model, 3)


@pytest.mark.parametrize("model", MODELS)
def test_googles_sdk_gets_vectors_and_pays_for_them(shop: Shop, model: str) -> None:
    script = Script()
    options = types.HttpOptions(base_url=f"{shop.world.stack.url}/zen", headers={REQUEST: script.tag})
    sdk = genai.Client(api_key=shop.key, http_options=options)
    answer = sdk.models.embed_content(model=model, contents=list(TEXTS))
    assert [entry.values for entry in answer.embeddings or ()] == VECTORS
    charged(shop, script, model, 3)


def test_a_model_that_answers_makes_no_vectors(shop: Shop) -> None:
    refused = shop.post("/zen/v1/embeddings", {"model": "scripted-chat", "input": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "wrong_model_kind")


def test_clients_are_not_offered_an_embedding_model_for_conversations(shop: Shop) -> None:

    def kinds() -> dict[str, str]:
        return {model["id"]: model["kind"] for model in shop.owner.http.get(f"{shop.path}/models").json()["data"]}

    # Another process of the function may answer the next request, with a catalogue that is seconds older.
    found = until(lambda: listed if "vectors-openai" in (listed := kinds()) else {})
    assert (found["vectors-openai"], found["scripted-chat"]) == ("embedding", "generation")
    offered = httpx.get(f"{shop.world.stack.url}/api.json", timeout=PATIENCE).json()[PROVIDER]["models"]
    assert "scripted-chat" in offered
    assert "vectors-openai" not in offered
