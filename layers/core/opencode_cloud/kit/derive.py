"""Secrets that are derived instead of stored: whoever has the deployment key and the row's id can write them again.

So a link or a code can be put into a mail by the function that renders it, and neither tables nor queues hold it.
"""

from __future__ import annotations

import hashlib
import hmac

from opencode_cloud.kit.ids import base64url

CODE_DIGITS = 8


def derive(key: str, purpose: str, *parts: str | int) -> bytes:
    """Return 32 bytes that only the holder of the deployment's ``key`` can compute.

    ``purpose`` keeps uses apart. Each part is written with its length, so no two lists of parts are the same text.
    """
    text = "".join(f"{len(part)}:{part}" for part in (purpose, *map(str, parts)))
    return hmac.digest(key.encode(), text.encode(), "sha256")


def invitation_token(key: str, invitation: str, generation: int) -> str:
    """Return the secret part of an invitation's link; only that of the last generation is valid."""
    return base64url(derive(key, "invitation", invitation, generation))


def sign_in_code(key: str, challenge: str) -> str:
    """Return the one-time code of an e-mail challenge: eight decimal digits.

    Not even its hash may be stored, since all codes can be tried against a hash: derive it again and compare in
    constant time. The challenge must be bounded in time and in attempts.
    """
    number = int.from_bytes(derive(key, "sign-in-code", challenge), "big")  # 256 bits: the bias is nothing
    return str(number % 10**CODE_DIGITS).zfill(CODE_DIGITS)


def hash_of_token(token: str) -> bytes:
    """Return what is stored of a token. A plain hash suffices: tokens have 256 bits of entropy."""
    return hashlib.sha256(token.encode()).digest()
