"""Transport of signed reasoning through a client with another format than the upstream.

An upstream accepts only reasoning that has its own signature, byte for byte. Most formats have a member with an opaque
string (a signature, encrypted content). The gateway writes everything that the upstream must get back into that member,
with a mark, and opens it when the client sends it back. It never sends a marked string to an upstream unopened.
"""

from __future__ import annotations

import base64
from typing import Any, cast

import msgspec

from opencode_cloud.gateway.formats.media import plain_base64
from opencode_cloud.gateway.formats.models import ReasoningBlock

_LABEL = b"opencode-cloud/1/ "  # a multiple of three bytes, so that its base64 is the beginning of each sealed string
MARK = base64.b64encode(_LABEL).decode()
UNSIGNED = "skip_thought_signature_validator"
"""The signature that Google documents for tool calls of other models. It skips validation."""
_OPAQUE = ("signature", "encrypted_content", "thoughtSignature", "thought_signature", "data")
_CONTENTS = ("content", "parts")
_DETAILS = "reasoning_details"
"""A member of compatible servers. Others refuse it."""
_REMOVED = object()
_WHOLE = ("thinking", "redacted_thinking", "reasoning", "reasoning.text", "reasoning.encrypted")


def seal(reasoning: ReasoningBlock) -> str:
    """Return a string (base64) that holds the whole block."""
    return base64.b64encode(_LABEL + msgspec.json.encode(reasoning)).decode()


def unseal(text: str) -> ReasoningBlock | None:
    """Return the block that a sealed string holds; None if it is an upstream's own string, or was tampered with."""
    if not text.startswith(MARK):
        return None
    try:
        plain = base64.b64decode(plain_base64(text) + "=" * (-len(text) % 4))
        return msgspec.json.decode(plain[len(_LABEL) :], type=ReasoningBlock)
    except ValueError:
        return None


def is_sealed(text: object) -> bool:
    """Tell whether a value is a string that only the gateway can open."""
    return isinstance(text, str) and text.startswith(MARK)


def without_sealed(value: object) -> object:
    """Return a request without sealed reasoning, for an upstream of the same format.

    This is needed when a conversation moves to another upstream. Blocks of reasoning are removed completely, with the
    turn or the list that had nothing else. Other blocks lose only their signature.
    """
    if isinstance(value, list):
        parts = [(part, without_sealed(part)) for part in cast("list[object]", value) if not _is_foreign(part)]
        return [after for before, after in parts if not _is_emptied(before, after)]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: after for key, member in members.items() if (after := _member(key, member)) is not _REMOVED}
    return value


def _member(key: str, member: object) -> object:
    if key in _OPAQUE and is_sealed(member):
        return _REMOVED
    after = without_sealed(member)
    return _REMOVED if key == _DETAILS and member and not after else after


def _is_emptied(before: object, after: object) -> bool:
    """Tell whether a turn has lost all of its contents: upstreams refuse an empty one."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    had, has = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
    return any(isinstance(had.get(name), list) and had[name] and not has[name] for name in _CONTENTS)


def _is_foreign(part: object) -> bool:
    if not isinstance(part, dict):
        return False
    members = cast("dict[str, Any]", part)
    whole = members.get("type") in _WHOLE or members.get("thought") is True
    return whole and any(is_sealed(members.get(key)) for key in _OPAQUE)
