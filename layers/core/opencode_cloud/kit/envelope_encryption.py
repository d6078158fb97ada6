"""Envelope encryption: encrypt each secret with its own data key, and the data key with a key that never leaves KMS.

The context names the owner of a secret. KMS binds the data key to it, and AES-GCM the text. So a row that is copied to
another owner cannot be decrypted there. KMS writes the context to CloudTrail with each use.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit import aws

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Sealed(msgspec.Struct, frozen=True):
    """An encrypted secret."""

    ciphertext: bytes
    """The nonce, followed by AES-256-GCM's text and tag."""
    data_key: bytes
    """The data key, encrypted by KMS."""


def seal(key_arn: str, secret: bytes, context: Mapping[str, str]) -> Sealed:
    """Encrypt ``secret`` under a new data key of the KMS key ``key_arn``."""
    plain, encrypted = aws.kms().generate_data_key(key_arn, context)
    nonce = os.urandom(NONCE_BYTES)
    return Sealed(nonce + _cipher(plain).encrypt(nonce, secret, _text(context)), encrypted)


def unseal(key_arn: str, sealed: Sealed, context: Mapping[str, str]) -> bytes:
    """Return the secret; raises KMS's ``InvalidCiphertextException`` when the context differs."""
    key = aws.kms().decrypt(key_arn, sealed.data_key, context)
    nonce, text = sealed.ciphertext[:NONCE_BYTES], sealed.ciphertext[NONCE_BYTES:]
    return _cipher(key).decrypt(nonce, text, _text(context))


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # most calls use no sealed secret

    return AESGCM(key)


def _text(context: Mapping[str, str]) -> bytes:
    return "".join(f"{len(part)}:{part}" for item in sorted(context.items()) for part in item).encode()
