"""Encode the catalogue for DynamoDB, as compressed JSON."""

from __future__ import annotations

import zlib

import msgspec

from opencode_cloud.catalogue.models import Catalogue

MAX_BYTES = 350 * 1024
"""The maximum size of a packed catalogue. An item of DynamoDB has at most 400 KB."""


def pack(catalogue: Catalogue) -> bytes:
    """Return a catalogue in its stored form."""
    return zlib.compress(msgspec.json.encode(catalogue), 9)


def unpack(packed: bytes) -> Catalogue:
    """Return a stored catalogue."""
    return msgspec.json.decode(zlib.decompress(packed), type=Catalogue)
