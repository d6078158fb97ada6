"""Parts of a request that some servers refuse, because they do not know them. The request means the same without.

Most are hints, which are left out. Newer names of old things get the old name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.editing import edited
from opencode_cloud.gateway.formats.faults import PROBLEMS
from opencode_cloud.gateway.formats.models import UpstreamFault

_HINTS = frozenset(
    {
        *("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "metadata", "seed"),
        *("parallel_tool_calls", "reasoning_effort", "verbosity", "stream_options"),
    }
)
_LIMIT, _OLD_LIMIT = "max_completion_tokens", "max_tokens"
_ROLE, _OLD_ROLE = "developer", "system"
RENAMED = frozenset({_LIMIT, _ROLE})
"""Parts that get an old name, so that nothing is lost."""
_THOUGHTS = frozenset({"reasoning_content", "reasoning_details"})
"""Members of messages that some servers send in answers, and refuse in requests."""
_PARTS: Mapping[Format, frozenset[str]] = {
    Format.CHAT: _HINTS | RENAMED | _THOUGHTS,
    Format.RESPONSES: _HINTS | {"client_metadata"},
    Format.MESSAGES: frozenset({"metadata"}),
}
"""`store` and `service_tier` are not among them: without them a call is kept, or costs more."""
_WITHIN = _THOUGHTS | {_ROLE}
"""Parts within messages."""
_WRONG = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_UNKNOWN = (
    r"unrecogni[sz]ed|unknown|unexpected|unsupported|additional propert|extra (?:inputs?|fields?|properties|keys?)\b"
    r"|not (?:permitted|allowed|supported|recogni[sz]ed)|n't support|not support"
)
_VALUE = r"(?:unsupported|invalid|unknown) value"
_KINDS = r"\b(?:supplied|parameters?|fields?|arguments?|propert(?:y|ies)|inputs?|keys?)\b[^\w\"'`]{1,3}"
_BEFORE = rf"(?:body\.|[\"'`]|{_KINDS})"
"""Stands before the name of a member. Names such as `user` are also words."""
_WRONG_ROLE = rf"[\"'`]{_ROLE}[\"'`]|\broles?\b[^.]{{0,60}}\b{_ROLE}\b|\b{_ROLE}\b[^.]{{0,60}}\brole\b"


def adaptable_parts(format_: Format) -> frozenset[str]:
    """Return the parts of requests in a format that a server may not know."""
    return _PARTS.get(format_, frozenset())


def parts_in(body: bytes, parts: Iterable[str]) -> frozenset[str]:
    """Return those of ``parts`` that a request has. A request that was adapted has none of them."""
    # Bodies can have megabytes, so they are decoded only if such a part may be there.
    named = {name for name in parts if f'"{name}"'.encode() in body}
    if not named:
        return frozenset()
    members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    found = named & members.keys()
    if (within := named & _WITHIN) and "messages" in members:
        messages: object = msgspec.json.decode(members["messages"])
        edited(messages, lambda message: found.update(_parts_of(message, within)))
    return frozenset(found)


def refused_parts(fault: UpstreamFault, parts: Collection[str]) -> frozenset[str]:
    """Return those of ``parts`` that an upstream's error calls unknown; none if it refuses the value of one."""
    if fault.status not in _WRONG:
        return frozenset()
    text = fault.message
    if re.search(_WRONG_ROLE, text, re.I):  # such an error lists the known roles, `user` among them
        return frozenset({_ROLE}.intersection(parts))
    # Each problem is judged alone, because one may call a part unknown and the next refuse the value of another.
    return frozenset(name for problem in text.split(PROBLEMS) for name in _unknown_in(problem, parts))


def _unknown_in(problem: str, parts: Collection[str]) -> Iterator[str]:
    if not re.search(_UNKNOWN, problem, re.I) or re.search(_VALUE, problem, re.I):
        return
    for name in parts:
        before = rf"(?:{_BEFORE}|\.)" if name in _THOUGHTS else _BEFORE
        if re.search(rf"{before}{name}(?![\w.\[])", problem, re.I):
            yield name


def adapted(body: bytes, parts: Collection[str]) -> bytes:
    """Return a request without some of its parts, or with their old names. All other members keep their bytes."""
    members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for name in parts:
        value = members.pop(name, None)
        if name == _LIMIT and value is not None:
            members.setdefault(_OLD_LIMIT, value)
    within = _WITHIN.intersection(parts)
    if within and "messages" in members:
        messages: object = msgspec.json.decode(members["messages"])
        messages = edited(messages, lambda message: _adapted_message(message, within))
        members["messages"] = msgspec.Raw(msgspec.json.encode(messages))
    return msgspec.json.encode(members)


def _parts_of(message: dict[str, Any], parts: Collection[str]) -> set[str]:
    return {name for name in parts if (message.get("role") == _ROLE if name == _ROLE else name in message)}


def _adapted_message(message: dict[str, Any], parts: Collection[str]) -> dict[str, Any]:
    left = {name: value for name, value in message.items() if name not in parts}
    return {**left, "role": _OLD_ROLE} if _ROLE in parts and left.get("role") == _ROLE else left
