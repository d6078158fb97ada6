"""Ids of shares, and pseudonyms of sessions in the form that the clients expect."""

from __future__ import annotations

import secrets
import string

from opencode_cloud.contracts.ids import ClientSessionId
from opencode_cloud.kit.ids import base64url

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HEX = string.digits + "abcdef"


def new_share_id() -> str:
    """Return a share id: 128 random bits, 22 characters, unrelated to anything else."""
    return base64url(secrets.token_bytes(16))


def pseudonym_of(session_id: ClientSessionId) -> str:
    """Return a random session id of the same length and character classes as ``session_id``.

    opencode's ids are a prefix, twelve hexadecimal characters and fourteen of base 62, or all hexadecimal
    (docs/protocol.md, "Identifiers"); a client that imports a share checks that form.
    """
    prefix, _, core = session_id.partition("_")
    only_hex = all(c in HEX for c in core)
    alphabet = [HEX if only_hex or position < 12 else BASE62 for position in range(len(core))]
    while (name := f"{prefix}_{''.join(secrets.choice(letters) for letters in alphabet)}") == session_id:
        continue
    return name
