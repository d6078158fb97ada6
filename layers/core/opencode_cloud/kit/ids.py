"""Random numbers, and unguessable ids."""

from __future__ import annotations

import base64
import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32."""
_RANDOM_BITS = 80
_SHIFTS = range(125, -1, -5)


class _Ulids:
    """Makes ULIDs (https://github.com/ulid/spec), which sort by the order in which this process made them.

    The library ``python-ulid`` takes longer to import than bare Python takes to start.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = -1

    def next(self) -> str:
        """Return a ULID of 26 characters. Within a millisecond, each is one more than the one before."""
        drawn = time.time_ns() // 1_000_000 << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8))
        with self._lock:
            same_moment = drawn >> _RANDOM_BITS <= self._last >> _RANDOM_BITS
            number = self._last = self._last + 1 if same_moment else drawn
        return "".join(_ALPHABET[number >> shift & 31] for shift in _SHIFTS)


_ulids = _Ulids()
_FRACTION_BITS = 53  # those of a float


def random_fraction() -> float:
    """Return a random number from 0 to 1, below 1.

    Python's own generator is slow to import. Functions that start from one snapshot would share its state.
    """
    return (int.from_bytes(os.urandom(7)) >> 56 - _FRACTION_BITS) / (1 << _FRACTION_BITS)


def base64url(data: bytes) -> str:
    """Encode bytes as URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_object_id() -> str:
    """Return a name of 128 random bits for an object that is written before a row refers to it."""
    return os.urandom(16).hex()


def new_id(prefix: str) -> str:
    """Return the id of a new row: ``prefix``, an underscore and a ULID, such as ``abc_01K...`` (30 characters)."""
    return f"{prefix}_{_ulids.next()}"
