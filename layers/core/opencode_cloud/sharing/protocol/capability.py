"""Secrets of shares (docs/decisions/005): a share belongs to its publisher and its session, and its secret proves both.

The *publisher* is the owner in one workspace or, for a share without an owner, the network that created it. Publisher,
session id and one key of the deployment determine the name under which a share is found again, and the share's secret.
So no request finds the share of another publisher. The secret determines the key that seals the session id into the
share's row. A dump of the tables therefore yields neither a session id nor a working secret.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING, NamedTuple, NewType

from opencode_cloud.contracts.ids import ClientSessionId, ShareId, WorkspaceId
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.ids import base64url
from opencode_cloud.sharing.models import Share, missing_secret, wrong_secret
from opencode_cloud.sharing.protocol.ids import SHARE_ID_CHARACTERS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_PREFIX = "shs_"  # noqa: S105 - the beginning of every secret, by which text that contains one is recognized
PROOF_CHARACTERS = 43  # 256 bits as base64url
_SECRET = rf"{SECRET_PREFIX}([A-Za-z0-9_-]{{{SHARE_ID_CHARACTERS}}})([A-Za-z0-9_-]{{{PROOF_CHARACTERS}}})"
_NONCE_BYTES = 12
_KEY_BYTES = 32

Publisher = NewType("Publisher", str)
"""The party that a share of a session belongs to: see :func:`owner_publisher` and :func:`network_publisher`."""


class SealedSession(NamedTuple):
    """The data that only a holder of a share's secret can read: the session id, and the key of pseudonyms."""

    session_id: ClientSessionId
    pseudonym_key: bytes


def owner_publisher(workspace_id: WorkspaceId, owner: str) -> Publisher:
    """Return the publisher of shares that ``owner`` has in a workspace."""
    return Publisher(f"owner/{workspace_id}/{owner}")


def network_publisher(network: str) -> Publisher:
    """Return the publisher of shares that a network created without a login."""
    return Publisher(f"network/{network}")


def session_hash(key: str, publisher: Publisher, session_id: ClientSessionId) -> str:
    """Return the name under which a publisher's share of a session is found: HMAC-SHA256 in hexadecimal."""
    return derive(key, "share-session", publisher, session_id).hex()


def family_of(key: str, publisher: Publisher) -> str:
    """Return the name of a publisher in its shares' rows: an HMAC in hexadecimal, which does not tell who it is."""
    return derive(key, "share-family", publisher).hex()


def relative_hash(family: str, pseudonym: str) -> str:
    """Return the name under which a share of a family is found by the pseudonym of its session; in hexadecimal."""
    return hashlib.sha256(f"{family}/{pseudonym}".encode()).hexdigest()


def share_secret(key: str, publisher: Publisher, share_id: ShareId, session_id: ClientSessionId) -> str:
    """Return the secret of a share: its id, by which the legacy protocol finds it, and a proof of 256 bits."""
    return SECRET_PREFIX + share_id + base64url(derive(key, "share-secret", publisher, share_id, session_id))


def share_of(secret: str) -> ShareId:
    """Return the id of the share that a secret belongs to; raises ``missing_secret`` or ``wrong_secret``.

    It proves nothing: the caller must check the secret.
    """
    if not secret:
        raise missing_secret()
    match = re.fullmatch(_SECRET, secret)
    if match is None:
        raise wrong_secret()
    return ShareId(match[1])


def pseudonym_key(key: str) -> bytes:
    """Return the deployment's key of pseudonyms, from which nothing else can be derived."""
    return derive(key, "session-pseudonyms")


def secret_hash(secret: str) -> bytes:
    """Return the stored hash of a secret. A plain hash suffices: the secret has 256 bits of entropy."""
    return hashlib.sha256(secret.encode()).digest()


def is_secret_of(share: Share, secret: str) -> bool:
    """Tell whether ``secret`` is the secret of ``share``, in constant time."""
    return hmac.compare_digest(secret_hash(secret), share.secret_hash)


def seal(secret: str, share_id: ShareId, session: SealedSession) -> bytes:
    """Encrypt ``session`` (AES-256-GCM, bound to the share). Only a holder of the share's secret can decrypt it."""
    nonce = os.urandom(_NONCE_BYTES)
    plain = session.pseudonym_key + session.session_id.encode()
    return nonce + _cipher(secret).encrypt(nonce, plain, share_id.encode())


def unseal(secret: str, share: Share) -> SealedSession:
    """Return what :func:`seal` encrypted. The caller must have checked the secret before."""
    nonce, sealed = share.sealed_session[:_NONCE_BYTES], share.sealed_session[_NONCE_BYTES:]
    plain = _cipher(secret).decrypt(nonce, sealed, share.id.encode())
    return SealedSession(ClientSessionId(plain[_KEY_BYTES:].decode()), plain[:_KEY_BYTES])


def _cipher(secret: str) -> AESGCM:
    # Readers and purges need no cipher, and its import takes a tenth of their start.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hmac.digest(secret.encode(), b"opencode-cloud/seal", "sha256"))
