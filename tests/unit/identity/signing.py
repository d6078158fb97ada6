"""Signing keys in memory, a stand-in for KMS in tests of the rules about tokens."""

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class KeysInMemory:
    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)
        self.private = {name: rsa.generate_private_key(65537, 2048) for name in ids}
        self.signs = ids[0]

    def active(self) -> str:
        return self.signs

    def sign(self, key: str, message: bytes) -> bytes:
        return self.private[key].sign(message, padding.PKCS1v15(), hashes.SHA256())

    def public(self, key: str) -> bytes | None:
        if key not in self.private:
            return None
        return (
            self.private[key]
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def pem(self, key: str) -> bytes:
        return (
            self.private[key]
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
