"""Ids of shares, and pseudonyms and new ids of sessions in the form that the clients expect."""

from __future__ import annotations

import hashlib
import hmac
import os
import string

from opencode_cloud.contracts.ids import ClientSessionId
from opencode_cloud.kit.ids import base64url

SHARE_ID_CHARACTERS = 22
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HEX = string.digits + "abcdef"


def new_share_id() -> str:
    """Return a share id: 128 random bits, 22 characters, unrelated to anything else."""
    return base64url(os.urandom(16))


def pseudonym_of(key: bytes, session_id: ClientSessionId) -> str:
    """Return the pseudonym of a session id: of the same form, the same for the same ``key`` and id.

    opencode's ids are a prefix, twelve hexadecimal characters and fourteen of base 62, or all hexadecimal
    (docs/protocol.md, "Identifiers"); a client that imports a share checks that form.
    """
    digest = hmac.digest(key, session_id.encode(), "sha256")
    for attempt in range(256):
        name = _of_form(session_id, hashlib.shake_256(digest + bytes([attempt])).digest(len(session_id)))
        # A very short id can be its own pseudonym by chance.
        if name != session_id:
            return name
    raise ValueError(f"no pseudonym of {len(session_id)} characters")


def new_session_id_like(session_id: str) -> str:
    """Return a new, random session id of the same form as ``session_id``."""
    return _of_form(session_id, os.urandom(len(session_id)))


def _of_form(session_id: str, source: bytes) -> str:
    """Return an id of the length and character classes of ``session_id``, with one character for each byte."""
    prefix, _, core = session_id.partition("_")
    only_hex = all(c in HEX for c in core)
    alphabet = [HEX if only_hex or position < 12 else BASE62 for position in range(len(core))]
    # The remainder favours some characters slightly, as the clients' own ids do.
    return f"{prefix}_{''.join(letters[byte % len(letters)] for letters, byte in zip(alphabet, source, strict=False))}"
