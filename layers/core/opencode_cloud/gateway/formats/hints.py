"""Hints of a request that some servers refuse, because they do not know them. The request means the same without."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.models import UpstreamFault

_OPENAI = frozenset(
    {
        *("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "metadata", "seed"),
        *("parallel_tool_calls", "reasoning_effort", "verbosity", "stream_options"),
    }
)
_HINTS: Mapping[Format, frozenset[str]] = {
    Format.CHAT: _OPENAI,
    Format.RESPONSES: _OPENAI | {"client_metadata"},
    Format.MESSAGES: frozenset({"metadata"}),
}
"""Members at the top of a request. `store` and `service_tier` are none: without them a call is kept, or costs more."""
_WRONG = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_UNKNOWN = (
    r"unrecogni[sz]ed|unknown|unexpected|unsupported|additional propert|extra (?:inputs?|fields?|properties|keys?)\b"
    r"|not (?:permitted|allowed|supported|recogni[sz]ed)|n't support|not support"
)
_VALUE = r"(?:unsupported|invalid|unknown) value"
_BEFORE = (
    r"(?:body\.|[\"'`]|\b(?:supplied|parameters?|fields?|arguments?|propert(?:y|ies)|inputs?|keys?)\b[^\w\"'`]{1,3})"
)


def hints_in(body: bytes, format_: Format) -> frozenset[str]:
    """Return the hints that a request of a format has."""
    named = {name for name in _HINTS.get(format_, ()) if name.encode() in body}
    # Bodies can have megabytes, so they are decoded only if a hint may be there.
    return frozenset(named & msgspec.json.decode(body, type=dict[str, msgspec.Raw]).keys()) if named else frozenset()


def refused_hints(fault: UpstreamFault, hints: Iterable[str]) -> frozenset[str]:
    """Return those of ``hints`` that an upstream's error calls unknown; none if it refuses the value of one."""
    text = fault.message
    if fault.status not in _WRONG or not re.search(_UNKNOWN, text, re.I) or re.search(_VALUE, text, re.I):
        return frozenset()
    return frozenset(name for name in hints if re.search(rf"{_BEFORE}{name}(?![\w.\[])", text, re.I))


def without_hints(body: bytes, names: Iterable[str]) -> bytes:
    """Return a request without some of its hints. All other members keep their bytes."""
    members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for name in names:
        members.pop(name, None)
    return msgspec.json.encode(members)
