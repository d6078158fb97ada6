"""Refresh tokens: which one follows which, and what to think of one that comes back.

A token is a random secret with a tag that proves that we made it, so text that somebody made up costs no lookup and
harms no session. Its successor is derived from it with the deployment's key. So two processes that refresh at once
with the same token get the same successor, and the chain never forks; and neither the table, which holds hashes, nor
the table together with the key yields a token.
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
from opencode_cloud.kit.derive import derive
from opencode_cloud.kit.ids import base64url

if TYPE_CHECKING:
    from opencode_cloud.identity.models import Session

GRACE_SECONDS = 120
"""How long the token before the present one still yields the present one: command line, desktop and editor share one
file and refresh at once, and an answer may be lost."""
_TOKEN = re.compile(r"oc_rt_([0-9A-Z]{26})_([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{22})")


class Verdict(StrEnum):
    """What to do with a refresh token of ours."""

    ROTATE = "rotate"
    """It is the present one: its successor takes its place."""
    REPEAT = "repeat"
    """It was the present one until just now: its successor is given out again."""
    REPLAY = "replay"
    """It was used before: somebody else has it, and nobody can say who is who. The session ends."""


def judge(session: Session, presented: str, now: int) -> Verdict:
    """Judge the token with the hash ``presented``, which is one of ``session``'s; ``now`` is in seconds."""
    if hmac.compare_digest(presented, session.refresh):
        return Verdict.ROTATE
    recent = now - session.rotated_at <= GRACE_SECONDS
    return Verdict.REPEAT if recent and hmac.compare_digest(presented, session.previous) else Verdict.REPLAY


def hash_of(secret: str) -> str:
    """Return what is stored of a token or code: they have 256 bits of entropy, so a plain hash suffices."""
    return hashlib.sha256(secret.encode()).hexdigest()


class RefreshTokens:
    """Writes refresh tokens and reads their sessions; ``key`` returns the deployment's key."""

    def __init__(self, key: Callable[[], str]) -> None:
        self._key = key

    def first(self, session_id: SessionId) -> str:
        """Return the first token of a session."""
        return self._write(session_id, base64url(secrets.token_bytes(32)))

    def successor(self, token: str) -> str:
        """Return the token that follows ``token``, which must be one of ours."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise ValueError("only a token of ours has a successor")
        return self._write(SessionId(f"sid_{match[1]}"), base64url(derive(self._key(), "refresh-successor", token)))

    def session(self, token: str) -> str | None:
        """Return the id of the session that ``token`` was written for; None for what we did not write."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        session = f"sid_{match[1]}"
        return session if hmac.compare_digest(self._tag(session, match[2]), match[3]) else None

    def _write(self, session_id: SessionId, secret: str) -> str:
        return f"oc_rt_{session_id.removeprefix('sid_')}_{secret}{self._tag(session_id, secret)}"

    def _tag(self, session: str, secret: str) -> str:
        return base64url(derive(self._key(), "refresh-tag", session, secret)[:16])
