"""Derive secrets from the deployment's key and the id of a row, instead of storing them.

So a function that renders a mail can include a link or a code, while no table or queue contains the secret.
"""

from __future__ import annotations

import hashlib
import hmac


def derive(key: str, purpose: str, *parts: str | int) -> bytes:
    """Return 32 bytes that only the holder of the deployment's ``key`` can compute.

    ``purpose`` separates uses. Each part is encoded with its length, so different lists of parts encode differently.
    """
    text = "".join(f"{len(part)}:{part}" for part in (purpose, *map(str, parts)))
    return hmac.digest(key.encode(), text.encode(), "sha256")


def hash_of_token(token: str) -> bytes:
    """Return the hash by which a token is stored. A plain hash suffices: tokens have 256 bits of entropy."""
    return hashlib.sha256(token.encode()).digest()
