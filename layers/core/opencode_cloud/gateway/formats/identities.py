"""Members of requests that name the client's session or user. Model providers get pseudonyms of them.

Clients put their session id there, for caching and against abuse. Providers need equal values for equal sessions, not
the id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

IDENTITIES = frozenset(
    {
        "prompt_cache_key",
        "promptCacheKey",
        "safety_identifier",
        "user",
        "user_id",
        "session_id",
        "sessionId",
        "conversation_id",
    }
)
"""Names of such members, of all formats and of compatible servers: in a request itself, and in its ``metadata``.

`promptCacheKey` is how opencode's option arrives at servers that its SDK does not know.
"""


def pseudonymous(document: Mapping[str, Any], pseudonym: Callable[[str], str]) -> dict[str, Any]:
    """Return the members of a request that change when every identity in it is replaced by its ``pseudonym``."""
    changed = _replaced(document, pseudonym)
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        members = cast("dict[str, Any]", metadata)
        if found := _replaced(members, pseudonym):
            changed["metadata"] = {**members, **found}
    return changed


def _replaced(members: Mapping[str, Any], pseudonym: Callable[[str], str]) -> dict[str, Any]:
    found = {name: members[name] for name in IDENTITIES & members.keys()}
    return {name: pseudonym(value) for name, value in found.items() if isinstance(value, str) and value}
