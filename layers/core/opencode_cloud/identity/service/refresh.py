"""Refresh tokens: their succession, and the judgement of a token that is presented again.

A token is a random secret with a tag that proves that this deployment made it, so an invented token costs no lookup and
harms no session. Its successor is derived from it with the deployment's key. Two processes that refresh at once with
the same token therefore get the same successor, and the chain never forks. The table holds only hashes, so neither the
table alone nor the table together with the key yields a token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import SessionId
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.ids import base64url

if TYPE_CHECKING:
    from opencode_cloud.identity.models import Session

GRACE_SECONDS = 120
"""How long, in seconds, the previous token still yields the current one. Command line, desktop and editor share one
file and refresh at once, and an answer may be lost."""
_TOKEN = re.compile(r"oc_rt_([0-9A-Z]{26})_([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{22})")


class Verdict(StrEnum):
    """The decision about a refresh token of this deployment."""

    ROTATE = "rotate"
    """The token is the current one: its successor replaces it."""
    REPEAT = "repeat"
    """The token was the current one until just now: its successor is issued again."""
    REPLAY = "replay"
    """The token was used before, so two parties hold it and cannot be told apart. The session ends."""


def judge(session: Session, presented: str, now: int) -> Verdict:
    """Judge the token with the hash ``presented``, which belongs to ``session``. ``now`` is in seconds."""
    if hmac.compare_digest(presented, session.refresh):
        return Verdict.ROTATE
    # Refreshes of several processes with the same token, or a lost answer, are not a replay.
    recent = now - session.rotated_at <= GRACE_SECONDS
    return Verdict.REPEAT if recent and hmac.compare_digest(presented, session.previous) else Verdict.REPLAY


def hash_of(secret: str) -> str:
    """Return the stored hash of a token or code. A plain hash suffices: they have 256 bits of entropy."""
    return hashlib.sha256(secret.encode()).hexdigest()


class RefreshTokens:
    """Writes refresh tokens and reads their sessions. ``key`` returns the deployment's key."""

    def __init__(self, key: Callable[[], str]) -> None:
        self._key = key

    def first(self, session_id: SessionId) -> str:
        """Return the first token of a session."""
        return self._write(session_id, base64url(secrets.token_bytes(32)))

    def successor(self, token: str) -> str:
        """Return the token that follows ``token``, which must be a token of this deployment."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise ValueError("this deployment did not issue the token, so it has no successor")
        return self._write(SessionId(f"sid_{match[1]}"), base64url(derive(self._key(), "refresh-successor", token)))

    def session(self, token: str) -> SessionId | None:
        """Return the id of the session of ``token``; None for a token that this deployment did not write."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        session_id = SessionId(f"sid_{match[1]}")
        return session_id if hmac.compare_digest(self._tag(session_id, match[2]), match[3]) else None

    def _write(self, session_id: SessionId, secret: str) -> str:
        return f"oc_rt_{session_id.removeprefix('sid_')}_{secret}{self._tag(session_id, secret)}"

    def _tag(self, session_id: SessionId, secret: str) -> str:
        return base64url(derive(self._key(), "refresh-tag", session_id, secret)[:16])
