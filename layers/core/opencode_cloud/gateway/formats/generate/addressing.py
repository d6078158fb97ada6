"""The path of generateContent, which names the model and tells whether to stream."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from opencode_cloud.gateway.formats.models import ParsedRequest, PathTarget
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.kit.errors import NotFound

_METHODS = {"generateContent": False, "streamGenerateContent": True}
"""The methods in the path, and whether each streams."""


def read_path(call: str) -> PathTarget:
    """Return model and streaming of ``<model>:<method>``; raises ``not_offered`` (404)."""
    model, _, method = call.rpartition(":")
    if method not in _METHODS or not model:
        method = method[:40]
        raise NotFound(
            "not_offered",
            f"The gateway does not offer the method `{method}`. Call `:generateContent`, "
            "`:streamGenerateContent`, `:embedContent`, `:batchEmbedContents` or `:countTokens` of `models/<model>`.",
        )
    return PathTarget(model, _METHODS[method])


def upstream_path(model: str, stream: bool) -> str:
    """Return the path of a call. Without ``alt=sse`` Google streams a JSON array instead of events."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/models/{quote(model, safe='')}:{method}"


def count_request(request: Node) -> Node:
    """Return the model request within a request to count. Google's SDKs send it whole, or its contents alone."""
    whole = request.at("generateContentRequest")
    return whole if whole.present() else request


def overrides(parsed: ParsedRequest, _upstream_model: str) -> dict[str, Any]:
    """Remove ``model`` from the body, because the path names it and Google refuses unknown members."""
    return {"model": None} if "model" in parsed.document else {}
