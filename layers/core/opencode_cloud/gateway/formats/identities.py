"""Members of requests that name the client's session or user. Model providers get pseudonyms of them.

Clients put their session id there, for caching and against abuse. Providers need equal values for equal sessions, not
the id.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

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

_SESSION = re.compile(r"[!-~]{1,200}")


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


def bounded_session(session: str) -> str:
    """Return the id of a session, from a header or a body, as the gateway uses it.

    An id that is too long, or has other characters than visible ASCII, becomes its hash: different ids stay different.
    """
    if not session or _SESSION.fullmatch(session):
        return session
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()


def session_of(document: Mapping[str, Any]) -> str:
    """Return the session that a request names in its body; empty: none.

    Codex and Chat clients send a cache key for each session, and Claude Code an object in the id of the user.
    """
    for name in ("prompt_cache_key", "promptCacheKey", "session_id", "sessionId"):
        if isinstance(value := document.get(name), str) and value:
            return value
    metadata: object = document.get("metadata")
    members = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    if isinstance(session := members.get("session_id"), str) and session:
        return session
    user: object = members.get("user_id")
    return _session_in(user) if isinstance(user, str) else ""


def _session_in(user: str) -> str:
    """Return the session in the id of a user, as Claude Code writes it: JSON, or a text that ends in it."""
    if user.startswith("{"):
        try:
            found: object = msgspec.json.decode(user)
        except ValueError:
            return ""
        session = cast("dict[str, object]", found).get("session_id") if isinstance(found, dict) else None
        return session if isinstance(session, str) else ""
    return user.rpartition("_session_")[2] if "_session_" in user else ""
