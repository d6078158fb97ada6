"""The clock in our units, all UTC: milliseconds or seconds since the epoch, naive times in SQL."""

from __future__ import annotations

import time
from datetime import UTC, datetime

DAY_SECONDS = 86_400


def now_ms() -> int:
    """Return the present time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def now_seconds() -> int:
    """Return the present time in seconds since the epoch, the unit of DynamoDB's TTL."""
    return time.time_ns() // 1_000_000_000


def day_of(seconds: int) -> str:
    """Return the UTC day of an epoch time in seconds, as ``YYYY-MM-DD``."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def utc_now() -> datetime:
    """Return the present time in the form of SQL columns: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)
