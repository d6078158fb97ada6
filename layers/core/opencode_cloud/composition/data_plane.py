"""Builds what functions without SQL share, from the environment."""

from __future__ import annotations

from opencode_cloud.access.service import Access
from opencode_cloud.access.store import AccessStore, KeyUses
from opencode_cloud.identity.service.tokens import AccessTokens
from opencode_cloud.identity.store.keys import SigningKeys
from opencode_cloud.kit import settings


def access() -> Access:
    """Return the access of a function that people and clients send credentials to."""
    sessions = settings.text("SESSIONS_TABLE")
    keys = SigningKeys(settings.text("SIGNING_KEYS").split(","), sessions)
    return Access(AccessStore(settings.text("ACCESS_TABLE"), sessions), AccessTokens(keys).session, KeyUses(sessions))


def access_without_tokens() -> Access:
    """Return the access of a function that no credential reaches: it looks at those again that were checked before."""
    return Access(AccessStore(settings.text("ACCESS_TABLE"), settings.text("SESSIONS_TABLE")), lambda _token: None)
