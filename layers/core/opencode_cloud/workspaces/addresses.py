"""Validate the e-mail addresses and mail domains that people type."""

from __future__ import annotations

from opencode_cloud.kit.mail_addresses import InvalidMailAddress, canonical_address
from opencode_cloud.workspaces.models import invalid_address, invalid_domain


def clean_address(address: str, *, check_domain: bool) -> str:
    """Return an address in the person's spelling. Its canonical form (``kit/mail_addresses.py``) is what counts.

    With ``check_domain``, ask DNS whether the domain accepts mail. Raises ``invalid_address``.
    """
    from email_validator import EmailNotValidError, validate_email  # slow to import, and few requests write an address

    try:
        canonical_address(address)
        # Mail cannot be sent to other letters in the local part, so the form refuses them (`allow_smtputf8`).
        return validate_email(address.strip(), check_deliverability=check_domain, allow_smtputf8=False).normalized
    except (EmailNotValidError, InvalidMailAddress) as error:
        raise invalid_address(str(error)) from error


def clean_domain(domain: str) -> str:
    """Return a mail domain in the form that DNS uses; raises ``invalid_domain``."""
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(f"postmaster@{domain.strip()}", check_deliverability=False).ascii_domain.lower()
    except EmailNotValidError as error:
        raise invalid_domain() from error
