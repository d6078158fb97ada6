"""Embeddings are metered, budgeted and governed like model calls, in OpenAI's form and in Google's."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import openai
import pytest
from msgspec.structs import replace

from opencode_cloud.catalogue.models import (
    Catalogue,
    Format,
    Model,
    ModelKind,
    Price,
    Rates,
    Route,
    TokenLimits,
    UpstreamKind,
)
from opencode_cloud.contracts.access import EnforcedPolicy, EnforcedRules, FallbackChain, FallbackReason
from opencode_cloud.gateway.formats.embedding.answers import base64_of, floats_of
from opencode_cloud.gateway.models import UpstreamTarget
from opencode_cloud.gateway.routes import Gateway
from opencode_cloud.gateway.store.requests import address
from opencode_cloud.kit.errors import ServiceError
from tests.unit.gateway.asking import KEY, nothing
from tests.unit.gateway.calling import Rig, Scripted
from tests.unit.gateway.catalogues import DOLLAR_A_MILLION, model, upstream
from tests.unit.gateway.rigs import only, refused
from tests.upstreams.embeddings import embed

PRICE = Price(version="v", since=0, rates=Rates(input=2 * DOLLAR_A_MILLION, output=0))
OPENAI = "/zen/v1/embeddings"
GOOGLE = "/zen/v1beta/models/vectors"
EVERY = (
    (OPENAI, {"model": "vectors", "input": ["one two", "three"]}),
    (f"{GOOGLE}:embedContent", {"content": {"parts": [{"text": "one two"}]}}),
    (f"{GOOGLE}:batchEmbedContents", {"requests": [{"content": {"parts": [{"text": text}]}} for text in ("a b", "c")]}),
)


def vectors(**changes: Any) -> Model:
    given = {
        "id": "vectors",
        "name": "Vectors",
        "kind": ModelKind.EMBEDDING,
        "format": Format.CHAT,
        "limits": TokenLimits(context=8192, output=0),
        "prices": (PRICE,),
        "routes": (Route(upstream="a", model="theirs"),),
    }
    return Model(**(given | changes))


def rig(kind: UpstreamKind = UpstreamKind.OPENAI, **changes: Any) -> Rig:
    models = {"vectors": vectors(**changes), "m1": model(Route(upstream="a", model="m"))}
    found = Rig(Catalogue(version=1, upstreams={"a": upstream(kind)}, models=models), lambda _: Scripted())

    def answer(target: UpstreamTarget) -> Scripted:
        asked, body = found.asked[-1]
        assert asked is target
        status, told = embed(address(target, stream=False), json.loads(body))
        return Scripted((json.dumps(told).encode(),), status, "application/json")

    found.script = answer
    return found


async def post(found: Rig, path: str, body: Any) -> httpx.Response:
    app = Gateway(found.calls, found.admission, longest_body=1_000_000).app(nothing)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        return await client.post(path, json=body, headers=KEY)


@pytest.mark.parametrize("name", ["google/vectors", "google%2Fvectors"])
async def test_the_name_of_a_model_in_the_path_may_have_slashes(name: str) -> None:
    found = rig()
    answer = await post(found, f"/zen/v1beta/models/{name}:embedContent", {"content": {"parts": [{"text": "one"}]}})
    assert (answer.status_code, only(found).model) == (200, "vectors")


@pytest.mark.parametrize("kind", [UpstreamKind.OPENAI, UpstreamKind.OPENAI_COMPATIBLE, UpstreamKind.GOOGLE])
@pytest.mark.parametrize(("path", "body"), EVERY)
async def test_embeddings_are_answered_and_charged(kind: UpstreamKind, path: str, body: dict[str, Any]) -> None:
    found = rig(kind)
    answer = await post(found, path, body)
    assert answer.status_code == 200, answer.text
    event = only(found)
    words = 3 if path != f"{GOOGLE}:embedContent" else 2
    assert (event.model, event.tokens.input, event.tokens.output, event.estimated) == ("vectors", words, 0, False)
    assert event.cost == words * 200
    [held] = found.ledger.reserved
    assert held.claim.cost >= event.cost


@pytest.mark.parametrize("kind", [UpstreamKind.OPENAI, UpstreamKind.GOOGLE])
async def test_each_client_gets_its_own_form_whatever_the_upstream(kind: UpstreamKind) -> None:
    listed, single, batch = [(await post(rig(kind), path, body)).json() for path, body in EVERY]
    assert listed["object"] == "list"
    by_index = sorted((entry["index"], entry["embedding"]) for entry in listed["data"])
    assert by_index == [(0, [7.0, 0.5]), (1, [5.0, 0.5])]
    assert listed["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert single["embedding"]["values"] == [7.0, 0.5]
    assert [entry["values"] for entry in batch["embeddings"]] == [[3.0, 0.5], [1.0, 0.5]]


@pytest.mark.parametrize("kind", [UpstreamKind.OPENAI, UpstreamKind.GOOGLE])
async def test_base64_is_answered_where_it_was_asked_for(kind: UpstreamKind) -> None:
    answer = await post(rig(kind), OPENAI, {"model": "vectors", "input": "abc", "encoding_format": "base64"})
    assert floats_of(answer.json()["data"][0]["embedding"]) == [3.0, 0.5]
    assert base64_of([3.0, 0.5]) == answer.json()["data"][0]["embedding"]


async def test_base64_is_asked_of_an_upstream_of_the_same_form_and_passes_untouched() -> None:
    found, body = rig(), {"model": "vectors", "input": "abc", "encoding_format": "base64"}
    packed = b'{"object":"list", "data":[{"index":0,"embedding":"AABAQAAAAD8="}], "usage":{"prompt_tokens":1}}'
    found.script = lambda _: Scripted((packed,), 200, "application/json")
    assert (await post(found, OPENAI, body)).content == packed
    assert json.loads(found.asked[0][1])["encoding_format"] == "base64"


FLOATS = {
    "object": "list",
    "of_tomorrow": 1,
    "data": [{"index": 0, "embedding": [3, 0.5], "of_tomorrow": 2}, {"index": 1, "embedding": "AABAQAAAAD8="}],
    "usage": {"prompt_tokens": 1},
}


async def test_base64_is_made_for_servers_that_may_know_numbers_only() -> None:
    found = rig(UpstreamKind.OPENAI_COMPATIBLE)
    found.script = lambda _: Scripted((json.dumps(FLOATS).encode(),), 200, "application/json")
    answer = await post(found, OPENAI, {"model": "vectors", "input": ["a", "b"], "encoding_format": "base64"})
    packed = [{**entry, "embedding": base64_of([3.0, 0.5])} for entry in FLOATS["data"]]
    assert answer.json() == {**FLOATS, "data": packed}
    assert json.loads(found.asked[0][1])["encoding_format"] == "float"


async def test_numbers_pass_untouched_where_numbers_were_asked_for() -> None:
    for asked in ({}, {"encoding_format": "float"}):
        found = rig(UpstreamKind.OPENAI_COMPATIBLE)
        found.script = lambda _: Scripted((json.dumps(FLOATS).encode(),), 200, "application/json")
        answer = await post(found, OPENAI, {"model": "vectors", "input": ["a", "b"], **asked})
        assert answer.content == json.dumps(FLOATS).encode()


@pytest.mark.parametrize("kind", [UpstreamKind.OPENAI, UpstreamKind.GOOGLE])
async def test_dimensions_reach_the_upstream(kind: UpstreamKind) -> None:
    answer = await post(rig(kind), OPENAI, {"model": "vectors", "input": "abc", "dimensions": 3})
    assert len(answer.json()["data"][0]["embedding"]) == 3


async def test_a_request_keeps_its_values_in_its_own_form() -> None:
    found = rig()
    await post(found, OPENAI, {"model": "vectors", "input": ["x"], "user": "ann", "of_tomorrow": 1.50})
    [(target, body)] = found.asked
    sent = json.loads(body)
    assert (sent["model"], sent["input"], sent["of_tomorrow"]) == ("theirs", ["x"], 1.5)
    assert sent["user"].startswith("id_")
    assert address(target, stream=False).endswith("/embeddings")


async def test_every_content_of_a_batch_names_the_upstreams_model() -> None:
    found = rig(UpstreamKind.GOOGLE)
    requests = [{"model": "models/another", "content": {"parts": [{"text": "x"}]}, "taskType": "QUERY"}]
    await post(found, f"{GOOGLE}:batchEmbedContents", {"requests": requests})
    [(_, body)] = found.asked
    [sent] = json.loads(body)["requests"]
    assert (sent["model"], sent["taskType"]) == ("models/theirs", "QUERY")


async def test_tokens_as_numbers_are_bounded_and_charged() -> None:
    found = rig()
    assert (await post(found, OPENAI, {"model": "vectors", "input": [[1, 2, 3], [4, 5]]})).status_code == 200
    assert only(found).tokens.input == 5
    assert found.ledger.reserved[0].claim.tokens >= 5


@pytest.mark.parametrize("told", [{}, {"usage": None}, {"usage": {"prompt_tokens": 0, "total_tokens": 0}}])
async def test_usage_that_is_missing_or_zero_is_estimated(told: dict[str, Any]) -> None:
    found = rig()
    body = {"data": [{"index": 0, "embedding": [1.0]}], **told}
    found.script = lambda _: Scripted((json.dumps(body).encode(),), 200, "application/json")
    await post(found, OPENAI, {"model": "vectors", "input": "word " * 100})
    event = only(found)
    assert event.estimated
    assert 90 <= event.tokens.input <= 110
    assert event.cost <= found.ledger.reserved[0].claim.cost


@pytest.mark.parametrize("input_", ["word " * 50_000, ["word " * 20_000] * 3])
async def test_no_more_is_held_back_than_every_input_at_the_models_limit(input_: Any) -> None:
    found = rig()
    await post(found, OPENAI, {"model": "vectors", "input": input_})
    inputs = len(input_) if isinstance(input_, list) else 1
    assert found.ledger.reserved[0].claim.tokens == 8192 * inputs


INVALID: list[tuple[str, Any, str]] = [
    (OPENAI, {"model": "vectors"}, "input"),
    (OPENAI, {"model": "vectors", "input": []}, "input"),
    (OPENAI, {"model": "vectors", "input": ["x", 1]}, "input"),
    (OPENAI, {"model": "vectors", "input": [1, "x"]}, "input"),
    (OPENAI, {"model": "vectors", "input": [[]]}, "input"),
    (OPENAI, {"model": "vectors", "input": [[1], 2]}, "input"),
    (OPENAI, {"model": "vectors", "input": [True]}, "input"),
    (OPENAI, {"model": "vectors", "input": {"text": "x"}}, "input"),
    (OPENAI, {"model": "vectors", "input": "x", "encoding_format": "hex"}, "encoding_format"),
    (OPENAI, {"model": "vectors", "input": "x", "dimensions": 0}, "dimensions"),
    (OPENAI, {"model": "vectors", "input": "x", "base_url": "http://x"}, "base_url"),
    (OPENAI, {"input": "x"}, "model"),
    (OPENAI, [], "object"),
    (f"{GOOGLE}:batchEmbedContents", {"requests": []}, "requests"),
    (f"{GOOGLE}:batchEmbedContents", {"requests": ["x"]}, "requests[0]"),
    (f"{GOOGLE}:embedContent", {}, "content"),
    (f"{GOOGLE}:embedContent", {"content": {"parts": []}}, "content"),
]


@pytest.mark.parametrize(("path", "body", "place"), INVALID)
async def test_a_request_of_the_wrong_form_is_refused_by_its_place(path: str, body: Any, place: str) -> None:
    found = rig()
    answer = await post(found, path, body)
    assert answer.status_code == 400
    assert place in answer.json()["error"]["message"]
    assert not found.ledger.reserved


UNCONVERTIBLE: list[tuple[UpstreamKind, str, Any, str]] = [
    (UpstreamKind.GOOGLE, OPENAI, {"model": "vectors", "input": [1, 2]}, "tokens"),
    (
        UpstreamKind.OPENAI,
        f"{GOOGLE}:embedContent",
        {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}},
        "picture",
    ),
]


@pytest.mark.parametrize(("kind", "path", "body", "named"), UNCONVERTIBLE)
async def test_what_cannot_be_carried_over_is_refused_in_a_sentence(
    kind: UpstreamKind, path: str, body: Any, named: str
) -> None:
    found = rig(kind)
    answer = await post(found, path, body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]
    assert not found.asked


async def test_dropped_hints_are_named() -> None:
    body = {"content": {"parts": [{"text": "x"}]}, "taskType": "RETRIEVAL_QUERY", "title": "t"}
    answer = await post(rig(), f"{GOOGLE}:embedContent", body)
    assert answer.headers["x-opencode-dropped"] == "taskType, title"


async def test_models_of_the_other_kind_are_refused_by_name() -> None:
    found = rig()
    answer = await post(found, OPENAI, {"model": "m1", "input": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "wrong_model_kind")
    with pytest.raises(ServiceError, match="embeddings"):
        await found.call(model="vectors")
    assert not found.asked
    assert not found.ledger.reserved


async def test_the_policy_and_the_budgets_hold() -> None:
    found = rig()
    deny = EnforcedPolicy(models=EnforcedRules(deny=("*/vectors",)))
    found.caller = replace(found.caller, workspace=msgspec.structs.replace(found.caller.workspace, policy=deny))
    answer = await post(found, OPENAI, {"model": "vectors", "input": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "model_not_permitted")
    found = rig()
    found.ledger.refusal = ServiceError("budget_exhausted", "no")
    await post(found, OPENAI, {"model": "vectors", "input": "x"})
    assert not found.asked


@pytest.mark.parametrize("kind", [UpstreamKind.OPENAI, UpstreamKind.GOOGLE])
async def test_openais_own_sdk_reads_the_vectors(kind: UpstreamKind) -> None:
    found = rig(kind)
    app = Gateway(found.calls, found.admission, longest_body=1_000_000).app(nothing)
    client: Any = httpx.AsyncClient(transport=httpx.ASGITransport(app))
    async with client as http:
        sdk = openai.AsyncOpenAI(base_url="http://gateway/zen/v1", api_key="oc_sk_x", http_client=http)
        answer = await sdk.embeddings.create(model="vectors", input=["one two", "three"])
    assert sorted((entry.index, entry.embedding) for entry in answer.data) == [(0, [7.0, 0.5]), (1, [5.0, 0.5])]
    assert answer.usage.prompt_tokens == 3


async def test_another_upstream_is_asked_when_one_fails() -> None:
    found = rig(routes=(Route(upstream="a", model="one"), Route(upstream="b", model="two", priority=2)))
    found.catalogue.upstreams["b"] = upstream(UpstreamKind.GOOGLE)
    answer = found.script
    found.script = lambda target: refused(503) if target.id == "a" else answer(target)
    response = await post(found, OPENAI, {"model": "vectors", "input": "abc"})
    assert response.json()["data"][0]["embedding"] == [3.0, 0.5]
    assert only(found).upstream == "b"


async def test_an_answer_without_embeddings_is_no_answer() -> None:
    for told in ({"object": "list"}, {"error": {"message": "no", "type": "server_error"}}, []):
        found = rig()
        found.script = lambda _, told=told: Scripted((json.dumps(told).encode(),), 200, "application/json")
        assert (await post(found, OPENAI, {"model": "vectors", "input": "x"})).status_code == 502
        assert only(found).cost == 0


async def test_a_refusal_of_the_upstream_reaches_the_client() -> None:
    found = rig()
    response = await post(found, OPENAI, {"model": "vectors", "input": "x" * 10, "dimensions": 100_000})
    assert response.status_code == 400
    assert "dimensions" in response.json()["error"]["message"]
    assert only(found).cost == 0
    assert found.health.is_well(found.asked[0][0].circuit)


async def test_vectors_keep_their_model_whatever_the_policy_says() -> None:
    found = rig()
    others = {"others": vectors(id="others", routes=(Route(upstream="b", model="others"),))}
    servers = {**found.catalogue.upstreams, "b": upstream(UpstreamKind.OPENAI)}
    models = {**found.catalogue.models, **others}
    found.catalogue = msgspec.structs.replace(found.catalogue, upstreams=servers, models=models)
    to = ("opencode-cloud/others",)
    chain = FallbackChain(model="opencode-cloud/vectors", to=to, when=tuple(FallbackReason))
    workspace = msgspec.structs.replace(found.caller.workspace, policy=EnforcedPolicy(fallbacks=(chain,)))
    found.caller = replace(found.caller, workspace=workspace)
    found.script = lambda _: Scripted((b"{}",), 401, "application/json")
    assert (await post(found, OPENAI, {"model": "vectors", "input": "abc"})).status_code == 502
    assert {target.id for target, _ in found.asked} == {"a"}
