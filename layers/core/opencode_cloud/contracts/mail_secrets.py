"""The secrets in mails, derived by the feature that checks them and by the function that renders the mail."""

from __future__ import annotations

from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.ids import base64url

CODE_DIGITS = 8


def invitation_token(key: str, invitation: str, generation: int) -> str:
    """Return the secret part of an invitation's link. Only the last generation's secret is valid."""
    return base64url(derive(key, "invitation", invitation, generation))


def sign_in_code(key: str, challenge: str) -> str:
    """Return the one-time code of an e-mail challenge: eight decimal digits.

    Not even its hash may be stored, since all codes can be tried against a hash. Derive the code again and compare in
    constant time. The challenge must be limited in time and in attempts.
    """
    number = int.from_bytes(derive(key, "sign-in-code", challenge), "big")  # 256 bits: the bias is negligible
    return str(number % 10**CODE_DIGITS).zfill(CODE_DIGITS)
