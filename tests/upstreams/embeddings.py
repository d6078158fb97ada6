"""A strict stand-in for the embeddings of OpenAI and Google: refuses what the vendors' references do not allow.

A vector is the length of the input and 0.5. Each word is a token.
"""

from __future__ import annotations

import re
from typing import Any, cast

from opencode_cloud.gateway.formats.embedding.answers import base64_of

_LIST = frozenset({"model", "input", "encoding_format", "dimensions", "user", "of_tomorrow"})
_CONTENT = frozenset({"model", "content", "taskType", "title", "outputDimensionality"})
MOST_DIMENSIONS = 3072
PATH = re.compile(r"/(embeddings|models/[^/]+:(?:embedContent|batchEmbedContents))$")


class _Refused(Exception):
    """The request is not of the vendor's form."""


def embed(url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return status and answer for a request to ``url``."""
    found = PATH.search(url)
    path = found[1] if found else url
    try:
        if path == "embeddings":
            return 200, _list(body)
        resource, _, method = path.rpartition(":")
        if method == "embedContent":
            return 200, {"embedding": _content(resource, body), "usageMetadata": _usage([body])}
        if method == "batchEmbedContents":
            _only(body, {"requests"})
            requests = body["requests"]
            embeddings = [_content(resource, request) for request in requests]
            return 200, {"embeddings": embeddings, "usageMetadata": _usage(requests)}
    except _Refused as error:
        return 400, {"error": {"message": str(error), "type": "invalid_request_error", "code": "invalid", "status": ""}}
    return 404, {"error": {"message": f"no such path: {path}", "type": "not_found_error"}}


def _list(body: dict[str, Any]) -> dict[str, Any]:
    _only(body, _LIST)
    given = body["input"]
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    vectors = [_vector(len(each), body.get("dimensions")) for each in cast("list[Any]", inputs)]
    packed = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": base64_of(vector) if packed else vector}
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(len(each.split()) if isinstance(each, str) else len(each) for each in cast("list[Any]", inputs))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    # OpenAI promises no order.
    return {"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}


def _content(resource: str, request: dict[str, Any]) -> dict[str, Any]:
    _only(request, _CONTENT)
    if request.get("model") != resource:
        raise _Refused(f"model must be {resource}")
    return {"values": _vector(len(_text(request)), request.get("outputDimensionality"))}


def _text(request: dict[str, Any]) -> str:
    return "".join(part["text"] for part in request["content"]["parts"])


def _usage(requests: list[dict[str, Any]]) -> dict[str, int]:
    return {"promptTokenCount": sum(len(_text(request).split()) for request in requests)}


def _vector(length: int, dimensions: int | None) -> list[float]:
    if dimensions is not None and dimensions > MOST_DIMENSIONS:
        raise _Refused(f"dimensions must be at most {MOST_DIMENSIONS}")
    return [float(length), 0.5] if dimensions is None else [float(length)] * dimensions


def _only(body: dict[str, Any], members: set[str] | frozenset[str]) -> None:
    if unknown := body.keys() - members:
        raise _Refused(f"unknown members: {sorted(unknown)}")
