"""Secrets that are derived instead of stored: the deployment's key and the id of a row give them again.

A function that writes a mail can so put a link or a code into it; no table or queue holds the secret.
"""

from __future__ import annotations

import hashlib
import hmac


def derive(key: str, purpose: str, *parts: str | int) -> bytes:
    """Return 32 bytes that only the holder of the deployment's ``key`` can compute.

    ``purpose`` keeps uses apart. Each part is written with its length, so no two lists of parts are the same text.
    """
    text = "".join(f"{len(part)}:{part}" for part in (purpose, *map(str, parts)))
    return hmac.digest(key.encode(), text.encode(), "sha256")


def hash_of_token(token: str) -> bytes:
    """Return what is stored of a token. A plain hash suffices: tokens have 256 bits of entropy."""
    return hashlib.sha256(token.encode()).digest()
