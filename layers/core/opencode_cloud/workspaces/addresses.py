"""E-mail addresses and their domains: what counts as one, and in which form they are compared."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from opencode_cloud.workspaces.models import invalid_address, invalid_domain


def clean_address(address: str, *, check_domain: bool) -> str:
    """Return an address in the form that is stored; the database compares without regard to case.

    With ``check_domain``, DNS is asked whether mail can be delivered there at all. Raises ``invalid_address``.
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

    The database finds more: it takes é for e, which are two people.
    """
    return one.casefold() == other.casefold()


def domain_of(address: str) -> str:
    """Return the domain of a verified address, in the form of :func:`clean_domain`."""
    try:
        return validate_email(address, check_deliverability=False).ascii_domain.lower()
    except EmailNotValidError:
        return address.rpartition("@")[2].lower()  # some provider verified it: it is one for them
