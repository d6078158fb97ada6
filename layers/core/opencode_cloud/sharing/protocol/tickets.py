"""Tickets and passwords prove, without an account or over a socket, that a reader may read a share.

A ticket contains its expiry and the credential for which it was issued. It is signed with a key in the share's row,
which every change of the audience replaces. A ticket is not itself a credential: the credential that it names is looked
up on each use.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.ids import base64url

VIEW_SECONDS = 600  # lifetime of a page's ticket; the page renews it before it sends it again
UNLOCK_SECONDS = 12 * 3600  # how long a browser stays unlocked after the password was entered
REMEMBERED_SECONDS = 90 * 24 * 3600
"""How long a browser keeps its ticket. An expired one opens nothing: it shows that this browser has entered before."""
KEY_BYTES = 32
LONGEST_PASSWORD = 200  # characters, in the form that is compared
LONGEST_TYPED = 4 * LONGEST_PASSWORD
"""Characters of a password before it is composed: one character has up to four."""
_MAC_BYTES = 32
# OWASP's second choice for Argon2id: 19 MiB, 2 passes; 25 ms of processor time for one attempt.
_MEMORY_KIB, _PASSES, _LANES, _HASH_BYTES, _SALT_BYTES = 19_456, 2, 1, 32, 16


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """The content of a ticket: valid until ``expires_at`` (seconds since the epoch) for the credential ``proof``.

    A ticket without a proof was issued for the password.
    """

    expires_at: int
    proof: str = ""


def new_key() -> bytes:
    """Return a new key for tickets."""
    return os.urandom(KEY_BYTES)


def write(key: bytes, share_id: ShareId, proof: str = "", seconds: int = VIEW_SECONDS) -> str:
    """Return a ticket for ``share_id`` that is valid for ``seconds``."""
    content = msgspec.json.encode(Ticket(now_seconds() + seconds, proof))
    return base64url(_mac(key, share_id, content) + content)


def read(key: bytes, share_id: ShareId, ticket: str, *, aged: bool = False) -> Ticket | None:
    """Return the content of a ticket; None for an invalid one. ``aged`` accepts expired tickets too."""
    try:
        whole = base64.urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))
        mac, content = whole[:_MAC_BYTES], whole[_MAC_BYTES:]
        if not hmac.compare_digest(mac, _mac(key, share_id, content)):
            return None
        decoded = msgspec.json.decode(content, type=Ticket)
    except (binascii.Error, ValueError):
        return None
    return decoded if aged or decoded.expires_at > now_seconds() else None


def _mac(key: bytes, share_id: ShareId, content: bytes) -> bytes:
    return hmac.digest(key, share_id.encode() + b"\x00" + content, "sha256")


def hash_password(password: str) -> str:
    """Return the stored form of a password: an Argon2id hash in PHC form."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # most processes see no password

    kdf = Argon2id(
        salt=os.urandom(_SALT_BYTES), length=_HASH_BYTES, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
    )
    return kdf.derive_phc_encoded(_prepared(password))


def is_password(password: str, hashed: str) -> bool:
    """Tell whether ``hashed`` is a hash of ``password``. No password is longer than :data:`LONGEST_TYPED`."""
    # Composing 160,000 accents takes 48 s: the time grows with the square of their number.
    if len(password) > LONGEST_TYPED:
        return False
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    try:
        Argon2id.verify_phc_encoded(_prepared(password), hashed)
    except InvalidKey:
        return False
    return True


def _prepared(password: str) -> bytes:
    """Return a password in the form that is compared (RFC 8265, 4.2.1: OpaqueString).

    The same password has other bytes on other systems: blanks of other widths, and letters with separate accents.
    """
    import unicodedata

    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFC", spaced).encode(errors="surrogatepass")
