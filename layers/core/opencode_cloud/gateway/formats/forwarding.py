"""From a request of a client to the body that an upstream gets."""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import conversions
from opencode_cloud.gateway.formats.asking import node_of
from opencode_cloud.gateway.formats.messages.requests import DEFAULT_OUTPUT
from opencode_cloud.gateway.formats.models import Asked, InvalidRequest, Malformed
from opencode_cloud.gateway.formats.sealing import MARK, without_sealed
from opencode_cloud.kit import json_codec

_mark = MARK.encode()


def forward_request(asked: Asked, target: Format, upstream_model: str, *, most_output: int = DEFAULT_OUTPUT) -> bytes:
    """Return the body for an upstream that speaks ``target`` and calls the model ``upstream_model``.

    In the client's own format every member keeps its bytes, but for the model's name, the usage that streams of Chat
    Completions are asked to report, and what this gateway had sealed for another upstream. ``most_output`` is the limit
    that Messages is told where the client named none: that format demands one.
    Raises :class:`InvalidRequest` that names what cannot be carried over.
    """
    if asked.format is target:
        return _same(asked, upstream_model)
    if asked.answers > 1:
        raise InvalidRequest("More than one answer cannot be carried over to the format of this model's upstream.")
    if asked.hosted_tools:
        tools = ", ".join(asked.hosted_tools)
        raise InvalidRequest(f"What the provider runs ({tools}) cannot be carried over to the format of this upstream.")
    try:
        request = conversions.read_request(asked.format, node_of(asked.format, asked.document))
        request = msgspec.structs.replace(request, stream=asked.stream)
        if target is Format.MESSAGES and request.max_output is None:
            request = msgspec.structs.replace(request, max_output=most_output)
        return msgspec.json.encode(conversions.write_request(target, request, upstream_model))
    except Malformed as error:
        raise InvalidRequest(f"{error}.") from error


def _same(asked: Asked, upstream_model: str) -> bytes:
    changed: dict[str, Any] = {} if asked.format is Format.GENERATE else {"model": upstream_model}
    if asked.format is Format.CHAT and asked.stream and not asked.usage_wanted:
        options: dict[str, Any] = asked.document.get("stream_options") or {}
        changed["stream_options"] = {**options, "include_usage": True}
    sealed = _mark in asked.body
    if asked.format is Format.GENERATE and not sealed and "model" not in asked.document:
        return asked.body
    if sealed:
        members: dict[str, Any] = {**asked.document}
        members = {key: without_sealed(value) for key, value in members.items()}
    else:
        members = dict(json_codec.decode(asked.body, dict[str, msgspec.Raw]))
    if asked.format is Format.GENERATE:
        members.pop("model", None)
    return msgspec.json.encode({**members, **changed})
