"""Times in bodies of the API: RFC 3339 with Z outside, naive UTC inside, as in columns."""

from __future__ import annotations

from datetime import UTC, datetime


def to_utc(moment: datetime) -> datetime:
    """Return a time in the form of columns: UTC, without a zone. A time without a zone is taken as UTC."""
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError as error:
        raise ValueError("this is no time of the years 1 to 9999") from error


def rfc3339(moment: datetime) -> str:
    """Format a time for the API, such as ``2026-11-24T07:45:00.000000Z``."""
    return f"{to_utc(moment).isoformat(timespec='microseconds')}Z"


def rfc3339_of(seconds: int) -> str:
    """Format an epoch time in seconds for the API."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
