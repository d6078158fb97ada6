"""The catalogue as it lies in DynamoDB: compressed JSON."""

from __future__ import annotations

import zlib

import msgspec

from opencode_cloud.catalogue.models import Catalogue

MAX_BYTES = 350 * 1024
"""Of a packed catalogue: a row of DynamoDB has at most 400 KB."""


def pack(catalogue: Catalogue) -> bytes:
    """Return a catalogue as it is stored."""
    return zlib.compress(msgspec.json.encode(catalogue), 9)


def unpack(packed: bytes) -> Catalogue:
    """Return a stored catalogue."""
    return msgspec.json.decode(zlib.decompress(packed), type=Catalogue)
