"""Sign with keys that never leave KMS, and fetch their public keys."""

from __future__ import annotations

import hashlib
from functools import cache

from opencode_cloud.kit import aws


def sign_rs256(key_arn: str, message: bytes) -> bytes:
    """Return the signature RSASSA-PKCS1-v1_5 with SHA-256 of ``message`` (JOSE's RS256), made inside KMS."""
    return aws.kms().sign(key_arn, hashlib.sha256(message).digest(), "RSASSA_PKCS1_V1_5_SHA_256")


@cache
def public_key(key_arn: str) -> bytes:
    """Return the public key of a signing key (DER, SubjectPublicKeyInfo), fetched once per execution environment.

    It never changes, since a rotation uses another key.
    """
    return aws.kms().public_key(key_arn)
