"""Random, unguessable ids."""

from __future__ import annotations

import base64
import secrets

from ulid import ULID


def base64url(data: bytes) -> str:
    """Encode bytes as URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_object_id() -> str:
    """Return a name of 128 random bits for an object that is written before a row refers to it."""
    return secrets.token_hex(16)


def new_id(prefix: str) -> str:
    """Return the id of a new row: ``prefix``, an underscore and a ULID, such as ``abc_01K...`` (30 characters)."""
    return f"{prefix}_{ULID()}"
