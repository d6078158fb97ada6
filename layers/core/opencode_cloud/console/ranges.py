"""Ranges of days that pages show, from the query of their address."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from opencode_cloud.kit.clock import utc_now
from opencode_cloud.usage.service.rollups import month_start, next_month

FIRST = datetime(2020, 1, 1)  # noqa: DTZ001 - UTC without a zone, as in SQL
"""The first day that can be shown."""
LONGEST = timedelta(days=366)
DAY = timedelta(days=1)


class DayRange(msgspec.Struct, frozen=True):
    """Whole days in UTC, without a zone as in SQL: from ``since`` to before ``until``."""

    since: datetime
    until: datetime

    @property
    def first(self) -> str:
        """The first day, as a field of dates takes it."""
        return f"{self.since:%Y-%m-%d}"

    @property
    def last(self) -> str:
        """The last day, as a field of dates takes it."""
        return f"{self.until - DAY:%Y-%m-%d}"

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.until - self.since).days

    def before(self) -> DayRange:
        """Return the range of the same length before this one; of a whole month, the month before."""
        if self.since.day == 1 and self.until.day == 1 and self.days <= 31:
            return month_of(self.since - DAY)
        return DayRange(max(FIRST, self.since - (self.until - self.since)), self.since)

    def after(self) -> DayRange | None:
        """Return the range after this one; None if it has not begun."""
        if self.until > utc_now():
            return None
        whole = self.since.day == 1 and self.until.day == 1 and self.days <= 31
        return month_of(self.until) if whole else DayRange(self.until, self.until + (self.until - self.since))


def month_of(day: datetime) -> DayRange:
    """Return the month of a day."""
    return DayRange(month_start(day), next_month(day))


def range_of(first: str, last: str, otherwise: DayRange) -> DayRange:
    """Return the days from ``first`` to ``last`` (``2026-11-24``), or ``otherwise`` if they are no range.

    A range ends at the latest today, and has at most a year.
    """
    try:
        since, until = datetime.fromisoformat(first[:10]), datetime.fromisoformat(last[:10]) + DAY
    except (ValueError, OverflowError):
        return otherwise
    tomorrow = utc_now().replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    until = min(max(until, FIRST + DAY), max(tomorrow, otherwise.until))
    since = max(since, FIRST, until - LONGEST)
    return DayRange(since, until) if since < until else otherwise
