"""Times in the bodies of the API: RFC 3339 with Z outside; inside UTC without a zone, as the columns hold them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer, WithJsonSchema


def to_utc(moment: datetime) -> datetime:
    """Return a time as columns hold it: in UTC, without a zone. What comes without a zone is meant as UTC."""
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError as error:
        raise ValueError("this is no time of the years 1 to 9999") from error


def rfc3339(moment: datetime) -> str:
    """Return a time as the API writes it, such as ``2026-11-24T07:45:00.000000Z``."""
    return f"{to_utc(moment).isoformat(timespec='microseconds')}Z"


Instant = Annotated[
    datetime,
    AfterValidator(to_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time as a field of a model."""


def rfc3339_of(seconds: int) -> str:
    """Return an epoch time in seconds as the API writes it."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC))
