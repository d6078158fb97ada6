"""Builds the authentication of functions without SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.access.service import Access
from opencode_cloud.access.store import AccessStore, KeyUses
from opencode_cloud.identity.service.tokens import AccessTokens
from opencode_cloud.identity.store.keys import SigningKeys

if TYPE_CHECKING:
    from opencode_cloud.composition.settings import AccessSettings, KnownPeopleSettings


def access(settings: AccessSettings, tokens: AccessTokens | None = None) -> Access:
    """Return the access of a function that clients send credentials to; ``tokens`` verify their access tokens."""
    verifier = tokens or access_tokens(settings)
    return Access(store(settings), verifier.session, KeyUses(settings.sessions_table))


def access_without_tokens(settings: KnownPeopleSettings) -> Access:
    """Return the access of a function without clients: it checks credentials again that another function accepted."""
    return Access(store(settings), lambda _token: None)


def access_tokens(settings: AccessSettings) -> AccessTokens:
    """Return the issuer and verifier of access tokens."""
    return AccessTokens(SigningKeys(settings.signing_keys, settings.sessions_table))


def store(settings: KnownPeopleSettings) -> AccessStore:
    """Return the store of the projection, for functions without SQL."""
    return AccessStore(settings.access_table, settings.sessions_table)
