"""Requests for embeddings: reading a client's, and writing an upstream's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast
from urllib.parse import quote

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.facts import RequestFacts, check_steering
from opencode_cloud.gateway.formats.forwarding import replaced
from opencode_cloud.gateway.formats.generate.inspection import inspect_part, parts_of
from opencode_cloud.gateway.formats.identities import pseudonymous
from opencode_cloud.gateway.formats.models import (
    EmbeddingMethod,
    EmbeddingRequest,
    ForwardedRequest,
    InvalidRequest,
    Malformed,
    ParsedRequest,
)
from opencode_cloud.gateway.formats.parsing import decoded
from opencode_cloud.gateway.formats.reading import Node, ProtoNode, without_empty

_ENCODINGS = ("", "float", "base64")
_HINTS = ("taskType", "title", "embedContentConfig")
"""Members of Google's requests that OpenAI's have no place for."""
_WRONG_INPUT = "must be a text, a list of texts, or lists of tokens"


def embedding_format(method: EmbeddingMethod) -> Format:
    """Return the format of the vendor that defines an address."""
    return Format.CHAT if method is EmbeddingMethod.LIST else Format.GENERATE


def embedding_path(target: Format, model: str, method: EmbeddingMethod) -> str:
    """Return the path below an upstream's base URL, for a client that called ``method``."""
    if target is Format.CHAT:
        return "/embeddings"
    called = EmbeddingMethod.SINGLE if method is EmbeddingMethod.SINGLE else EmbeddingMethod.BATCH
    return f"/models/{quote(model, safe='')}:{called.value}"


def read_embedding(method: EmbeddingMethod, body: bytes, model: str = "") -> ParsedRequest:
    """Read a request. ``model`` is the one in the path, in Google's form.

    Raises :class:`InvalidRequest`, which names the error and its place.
    """
    document, facts = decoded(body), RequestFacts()
    try:
        if method is EmbeddingMethod.LIST:
            node = Node(document)
            check_steering(node)
            model, embedding = node.needed("model"), _read_list(node)
        else:
            google = ProtoNode(document)
            requests = [google] if method is EmbeddingMethod.SINGLE else list(google.each("requests"))
            embedding = _read_contents(method, requests, facts)
    except Malformed as error:
        raise InvalidRequest(f"{error}.") from error
    return ParsedRequest(
        format=embedding_format(method),
        body=body,
        model=model,
        images=facts.images,
        documents=facts.documents,
        unbounded=facts.unbounded,
        embedding=embedding,
        document=document,
    )


def forward_embedding(
    parsed: ParsedRequest,
    target: Format,
    upstream_model: str,
    pseudonym: Callable[[str], str],
    *,
    numbers_only: bool = False,
) -> ForwardedRequest:
    """Return the request to an upstream that speaks ``target``. In the client's own form, values keep their bytes.

    With ``numbers_only``, the upstream is asked for numbers where the client wants Base64.

    Raises :class:`InvalidRequest` that names what cannot be carried over.
    """
    asked = embedding_of(parsed)
    if parsed.format is target:
        overrides = _overrides(parsed, asked, upstream_model, pseudonym)
        if numbers_only and asked.base64:
            overrides["encoding_format"] = "float"
        return ForwardedRequest(body=replaced(parsed, overrides))
    if asked.only_here:
        raise InvalidRequest(f"{asked.only_here} cannot be carried over to the embeddings of this model's upstream.")
    if target is Format.CHAT:
        members = {"input": list(asked.texts), "encoding_format": "float", "dimensions": asked.dimensions}
        document = {"model": upstream_model, **without_empty(members)}
    else:
        resource = _resource(upstream_model)
        contents = [
            without_empty(
                {
                    "model": resource,
                    "content": {"parts": [{"text": text}]},
                    "outputDimensionality": asked.dimensions,
                }
            )
            for text in asked.texts
        ]
        document = contents[0] if asked.method is EmbeddingMethod.SINGLE else {"requests": contents}
    return ForwardedRequest(body=msgspec.json.encode(document), dropped=asked.dropped)


def embedding_of(parsed: ParsedRequest) -> EmbeddingRequest:
    """Return the request for embeddings. The caller knows that it is one."""
    if parsed.embedding is None:
        raise ValueError("not a request for embeddings")
    return parsed.embedding


def _overrides(
    parsed: ParsedRequest, asked: EmbeddingRequest, upstream_model: str, pseudonym: Callable[[str], str]
) -> dict[str, Any]:
    match asked.method:
        case EmbeddingMethod.LIST:
            return {"model": upstream_model, **pseudonymous(parsed.document, pseudonym)}
        case EmbeddingMethod.SINGLE:
            return {"model": _resource(upstream_model)}
        case EmbeddingMethod.BATCH:
            requests = cast("list[dict[str, Any]]", parsed.document["requests"])
            return {"requests": [{**request, "model": _resource(upstream_model)} for request in requests]}


def _resource(model: str) -> str:
    return f"models/{model}"


def _read_list(node: Node) -> EmbeddingRequest:
    encoding = node.text("encoding_format")
    if encoding not in _ENCODINGS:
        raise node.at("encoding_format").wrong("must be `float` or `base64`")
    value = node.raw("input")
    if not value or not isinstance(value, (str, list)):
        raise node.at("input").wrong(_WRONG_INPUT)
    given = cast("list[object]", [value] if isinstance(value, str) else value)
    texts = tuple(each for each in given if isinstance(each, str))
    tokens = 0 if texts else sum(map(len, _token_lists(node, given)))
    if texts and len(texts) < len(given):
        raise node.at("input").wrong(_WRONG_INPUT)
    return EmbeddingRequest(
        method=EmbeddingMethod.LIST,
        inputs=len(given) if texts or isinstance(given[0], list) else 1,
        texts=texts,
        tokens=tokens,
        dimensions=node.positive("dimensions"),
        base64=encoding == "base64",
        dropped=("user",) if node.raw("user") is not None else (),
        only_here="" if texts else "`input` of tokens",
    )


def _token_lists(node: Node, given: list[object]) -> list[list[object]]:
    lists = given if isinstance(given[0], list) else [given]
    for each in lists:
        numbers = cast("list[object]", each) if isinstance(each, list) else []
        if not numbers or any(isinstance(number, bool) or not isinstance(number, int) for number in numbers):
            raise node.at("input").wrong(_WRONG_INPUT)
    return cast("list[list[object]]", lists)


def _read_contents(method: EmbeddingMethod, requests: list[ProtoNode], facts: RequestFacts) -> EmbeddingRequest:
    if not requests:
        raise Malformed("requests", "must not be empty")
    texts = tuple("\n".join(_texts(request, facts)) for request in requests)
    sizes = {request.positive("outputDimensionality") for request in requests}
    media = facts.images or facts.documents
    return EmbeddingRequest(
        method=method,
        inputs=len(requests),
        texts=texts,
        dimensions=next(iter(sizes)),
        dropped=tuple(dict.fromkeys(name for name in _HINTS for request in requests if request.raw(name) is not None)),
        only_here="A picture or file" if media else "`outputDimensionality` of several sizes" if len(sizes) > 1 else "",
    )


def _texts(request: ProtoNode, facts: RequestFacts) -> Iterable[str]:
    parts = parts_of(request.at("content"))
    if not parts:
        raise request.at("content").wrong("must have parts")
    for part in parts:
        inspect_part(part, facts)
        yield part.text("text")
