"""Validate e-mail addresses and mail domains, and bring them into the form in which they are compared."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from opencode_cloud.workspaces.models import invalid_address, invalid_domain


def clean_address(address: str, *, check_domain: bool) -> str:
    """Return an address in the form that is stored; the database compares without regard to case.

    With ``check_domain``, ask DNS whether the domain accepts mail. Raises ``invalid_address``.
    """
    try:
        return validate_email(address.strip(), check_deliverability=check_domain).normalized
    except EmailNotValidError as error:
        raise invalid_address(str(error)) from error


def clean_domain(domain: str) -> str:
    """Return a mail domain in the form that DNS uses; raises ``invalid_domain``."""
    try:
        return validate_email(f"postmaster@{domain.strip()}", check_deliverability=False).ascii_domain.lower()
    except EmailNotValidError as error:
        raise invalid_domain() from error


def same_address(one: str, other: str) -> bool:
    """Tell whether two addresses are the same mailbox.

    The database's comparison is too wide: it treats é and e as equal, and they can be two people.
    """
    return one.casefold() == other.casefold()


def domain_of(address: str) -> str:
    """Return the domain of a verified address, in the form of :func:`clean_domain`."""
    try:
        return validate_email(address, check_deliverability=False).ascii_domain.lower()
    except EmailNotValidError:
        return address.rpartition("@")[2].lower()  # an identity provider has verified the address, so it has a domain
