"""The one canonical form of a mail address, by which addresses are compared everywhere.

The domain is its A-label (UTS 46, non-transitional: ß and ς are letters of their own), the ASCII letters of the local
part are lowered, and nothing else is folded: `ss` and `ß`, `fi` and its ligature are different people (UTR 36). Two
mailboxes of one host that differ by the case of an ASCII letter do not exist in practice. An address that cannot be
mailed has no such form.
"""

from __future__ import annotations

import re

import idna

LONGEST = 254
"""Characters of an address (RFC 5321, 4.5.3.1.3)."""
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")


class InvalidMailAddress(ValueError):
    """The text is no address that mail can be sent to. The message is a sentence that says why."""


def canonical_address(address: str) -> str:
    """Return the canonical form of an address; raises :class:`InvalidMailAddress`."""
    return mailable_address(address).lower()


def mailable_address(address: str) -> str:
    """Return an address as it is mailed: the local part as written, the domain as A-label.

    Raises :class:`InvalidMailAddress`.
    """
    address = address.strip()
    if len(address) > LONGEST:  # before anything that takes time by the length
        raise InvalidMailAddress(f"An address has at most {LONGEST} characters.")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise InvalidMailAddress("An address has a name, an @-sign and a domain.")
    if not local.isascii():
        raise InvalidMailAddress("The part before the @-sign may hold unaccented letters, digits and signs only.")
    if not _LOCAL.fullmatch(local):
        raise InvalidMailAddress("The part before the @-sign holds a character that mail cannot be sent to.")
    mailable = f"{local}@{canonical_domain(domain)}"
    if len(mailable) > LONGEST:
        raise InvalidMailAddress(f"An address has at most {LONGEST} characters.")
    return mailable


def canonical_domain(domain: str) -> str:
    """Return a domain as A-label in small letters; raises :class:`InvalidMailAddress`."""
    try:
        label = idna.encode(domain.strip().rstrip("."), uts46=True).decode()
    except UnicodeError as error:
        raise InvalidMailAddress("The part after the @-sign is no domain.") from error
    return label.lower()


def domain_of(canonical: str) -> str:
    """Return the domain of a canonical address."""
    _, at, domain = canonical.rpartition("@")
    return domain if at else ""
