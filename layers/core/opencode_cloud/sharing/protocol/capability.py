"""The session id as a capability (docs/decisions/005): knowing it proves the owner's client; it is stored nowhere.

The session id and one key of the deployment determine the name under which a share is found again, and the share's
secret. The secret determines the key that seals the session id into the share's row. A dump of the tables therefore
yields neither a session id nor a working secret, and create is idempotent without storing either.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opencode_cloud.contracts.ids import ClientSessionId, ShareId
from opencode_cloud.kit.ids import base64url
from opencode_cloud.sharing.models import Share

_NONCE_BYTES = 12


def session_hash(key: str, session_id: ClientSessionId) -> str:
    """Return the name under which a session's share is found: HMAC-SHA256 in hexadecimal."""
    return _mac(key, "session", session_id).hex()


def share_secret(key: str, share_id: ShareId, session_id: ClientSessionId) -> str:
    """Return the secret of a share: 256 bits, 43 characters, the same for the same session and share."""
    return base64url(_mac(key, "secret", share_id, session_id))


def secret_hash(secret: str) -> bytes:
    """Return the stored hash of a secret. A plain hash suffices: the secret has 256 bits of entropy."""
    return hashlib.sha256(secret.encode()).digest()


def is_secret_of(share: Share, secret: str) -> bool:
    """Tell whether ``secret`` is the secret of ``share``, in constant time."""
    return hmac.compare_digest(secret_hash(secret), share.secret_hash)


def seal(secret: str, share_id: ShareId, session_id: ClientSessionId) -> bytes:
    """Encrypt the session id (AES-256-GCM, bound to the share). Only a holder of the share's secret can decrypt it."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_sealing_key(secret)).encrypt(nonce, session_id.encode(), share_id.encode())


def unseal(secret: str, share: Share) -> str:
    """Return the session id of ``share``. The caller must have checked the secret before."""
    nonce, sealed = share.sealed_session[:_NONCE_BYTES], share.sealed_session[_NONCE_BYTES:]
    return AESGCM(_sealing_key(secret)).decrypt(nonce, sealed, share.id.encode()).decode()


def _sealing_key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"opencode-cloud/seal", "sha256")


def _mac(key: str, *parts: str) -> bytes:
    message = "\x00".join(("opencode-cloud", *parts)).encode()
    return hmac.digest(key.encode(), message, "sha256")
