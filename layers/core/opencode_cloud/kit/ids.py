"""Identifiers: random, unguessable, and in the form that the clients expect."""

from __future__ import annotations

import base64
import secrets
import string

from ulid import ULID

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HEX = string.digits + "abcdef"


def base64url(data: bytes) -> str:
    """Encode bytes as URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_share_id() -> str:
    """Return a share id: 128 random bits, 22 characters, unrelated to anything else."""
    return base64url(secrets.token_bytes(16))


def new_object_id() -> str:
    """Return the name of an object that is written before it is referred to: 128 random bits."""
    return secrets.token_hex(16)


def pseudonym_of(session_id: str) -> str:
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


def new_id(prefix: str) -> str:
    """Return the id of a new row: ``prefix``, an underscore and a ULID, such as ``wrk_01K...`` (30 characters).

    Prefixes: ``acc`` account, ``lgn`` login, ``sid`` session, ``wrk`` workspace, ``mem`` member, ``inv`` invitation,
    ``svc`` service account, ``key`` key, ``prv`` provider credential, ``pol`` policy, ``cfg`` configuration,
    ``dom`` domain, ``aud`` audit entry, ``mai`` mail, ``txn`` transaction of the outbox,
    ``bud`` budget, ``grn`` grant, ``exp`` export, ``rec`` finding of a reconciliation,
    ``call`` model call, ``req`` request of the gateway.
    """
    return f"{prefix}_{ULID()}"
