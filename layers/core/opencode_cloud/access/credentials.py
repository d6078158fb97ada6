"""The credentials in a request, and the forms in which credentials are stored."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.actor import CredentialKind

if TYPE_CHECKING:
    from opencode_cloud.contracts.actor import Actor

KEY_PREFIX = "oc_sk_"
PROVEN_SESSION = "session#"
PROVEN_KEY = "key#"


class AccessRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials and the address in a request."""

    bearer: str = ""
    cookie: str = ""
    """The value of the session cookie."""
    proven: str = ""
    """The output of :func:`proof_of` for a credential that was checked before; replaces a credential."""
    address: str = ""
    correlation_id: str = ""


def hash_of_key(key: str) -> bytes:
    """Return the stored hash of a key. A plain hash suffices: a key has 256 bits of entropy."""
    return hashlib.sha256(key.encode()).digest()


def session_of_cookie(cookie: str) -> str:
    """Return the id of a browser's session: a hash of the cookie's value, which is not stored."""
    return "sid_" + hashlib.sha256(cookie.encode()).hexdigest()[:48]


def proof_of(request: AccessRequest, actor: Actor) -> str:
    """Return a name of the credential of ``actor`` for later checks. The name is not itself a credential."""
    if request.proven:
        return request.proven
    if actor.credential is CredentialKind.KEY:
        return PROVEN_KEY + hash_of_key(request.bearer).hex()
    return PROVEN_SESSION + actor.session_id
