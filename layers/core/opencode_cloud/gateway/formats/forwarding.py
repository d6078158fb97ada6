"""Conversion of a client's request to the body for an upstream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.identities import pseudonymous
from opencode_cloud.gateway.formats.limits import within
from opencode_cloud.gateway.formats.members import check_members
from opencode_cloud.gateway.formats.models import (
    Block,
    ForwardedRequest,
    InvalidRequest,
    Malformed,
    ModelRequest,
    ParsedRequest,
    ReasoningBlock,
    Turn,
)
from opencode_cloud.gateway.formats.registry import wire_format
from opencode_cloud.gateway.formats.sealing import MARK, without_sealed
from opencode_cloud.gateway.formats.serving import serving_name
from opencode_cloud.kit import json_codec

_mark = MARK.encode()
_THOUGHTS = "thoughts"
"""The name of left-out thoughts in the header of dropped hints."""


def forward_request(
    parsed: ParsedRequest,
    target: Format,
    upstream_model: str,
    pseudonym: Callable[[str], str],
    *,
    model_id: str = "",
    most_output: int | None = None,
    cache_marks: bool = False,
    thoughtless: bool = False,
) -> ForwardedRequest:
    """Return the request to an upstream that speaks ``target`` and calls the model ``upstream_model``.

    In the client's own format every member keeps its bytes, except for the format's ``overrides`` (such as the model's
    name), for what this gateway had sealed for another upstream, and for ids of sessions and users, which become their
    ``pseudonym`` in every format. ``model_id`` is the model's id in the catalogue: it tells the model where the
    upstream's name does not. ``most_output`` (tokens) is the limit for formats that require one, where the client
    set none. With ``cache_marks`` the upstream takes cache marks in a format that has none by itself. A
    ``thoughtless`` request has no thoughts that an upstream signed or encrypted.
    Raises :class:`InvalidRequest` that names what cannot be carried over.
    """
    identities = pseudonymous(parsed.document, pseudonym)
    model = serving_name(upstream_model, model_id)
    if parsed.format is target:
        own = _named(wire_format(target).overrides(parsed, model), upstream_model)
        thoughts = wire_format(target).without_thoughts(parsed.document, model) if thoughtless else {}
        overrides = {**parsed.changes, **own, **identities, **thoughts}
        dropped = (*parsed.dropped, *([_THOUGHTS] if thoughts else []))
        return ForwardedRequest(body=replaced(parsed, overrides), dropped=dropped)
    if parsed.answers > 1:
        raise InvalidRequest("More than one answer cannot be carried over to the format of this model's upstream.")
    if parsed.speaks:
        raise InvalidRequest(f"Sound in the answer ({parsed.speaks}) cannot be carried over to this upstream's format.")
    if parsed.hosted_tools:
        tools = ", ".join(parsed.hosted_tools)
        raise InvalidRequest(f"Tools of the provider ({tools}) cannot be carried over to the format of this upstream.")
    source, wire = wire_format(parsed.format), wire_format(target)
    try:
        node = source.node({**parsed.document, **identities})
        dropped = list(check_members(node, source.members))
        request = source.read_request(node)
        request = msgspec.structs.replace(request, stream=parsed.stream)
        if thoughtless:
            request = _thoughtless(request)
        if wire.requires_output_limit and request.max_output is None:
            request = msgspec.structs.replace(request, max_output=most_output)
        request, emulation = within(request, wire.limits, model, cache_marks=cache_marks)
        body = msgspec.json.encode(_named(wire.write_request(request, model), upstream_model))
    except Malformed as error:
        raise InvalidRequest(f"{error}.") from error
    hints = dict.fromkeys((*parsed.dropped, *dropped, *request.dropped))
    return ForwardedRequest(body=body, dropped=tuple(hints), emulation=emulation)


def _thoughtless(request: ModelRequest) -> ModelRequest:
    """Return a request without thoughts that an upstream signed or encrypted."""
    kept = ((turn, tuple(block for block in turn.blocks if not _is_signed(block))) for turn in request.messages)
    messages = tuple(Turn(turn.role, blocks) for turn, blocks in kept if blocks or not turn.blocks)
    if messages == request.messages:
        return request
    return msgspec.structs.replace(request, messages=messages, dropped=(*request.dropped, _THOUGHTS))


def _is_signed(block: Block) -> bool:
    return isinstance(block, ReasoningBlock) and bool(block.signature)


def _named(members: dict[str, Any], upstream_model: str) -> dict[str, Any]:
    """Return the members with the upstream's name of the model, in formats that name it in the body."""
    return {**members, "model": upstream_model} if members.get("model") is not None else members


def least_output(client: Format, target: Format) -> int:
    """Return the smallest limit of an answer (tokens) that reaches an upstream; a smaller one is raised to it."""
    return 1 if client is target else wire_format(target).limits.least_output


def replaced(parsed: ParsedRequest, overrides: Mapping[str, Any]) -> bytes:
    """Return a request's body with other members in place of its own; None removes one. All others keep their bytes."""
    sealed = _mark in parsed.body
    if not overrides and not sealed:
        return parsed.body
    members: dict[str, Any]
    if sealed:
        members = {key: without_sealed(value) for key, value in parsed.document.items()}
    else:
        # Values stay encoded, so that they keep their bytes.
        members = dict(json_codec.decode(parsed.body, dict[str, msgspec.Raw]))
    for name, value in overrides.items():
        if value is None:
            members.pop(name, None)
        else:
            members[name] = value
    return msgspec.json.encode(members)
