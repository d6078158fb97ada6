"""Periods of subscriptions: each begins on the anchor's day, or on the last day of a shorter month."""

import calendar
from datetime import UTC, datetime, timedelta

_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}


def end_of(anchor: int, interval: str, count: int, after: int) -> int:
    """Return the first end of a period after the second `after`.

    Args:
        anchor: Unix time at which the first period begins.
        interval: `day`, `week`, `month` or `year`.
        count: Intervals in a period.
        after: Unix time.
    """
    number = 1
    while (end := boundary(anchor, interval, count * number)) <= after:
        number += 1
    return end


def boundary(anchor: int, interval: str, intervals: int) -> int:
    """Return the Unix time that is `intervals` after the anchor."""
    begin = datetime.fromtimestamp(anchor, UTC)
    if interval in _DAYS:
        return int((begin + timedelta(days=_DAYS[interval] * intervals)).timestamp())
    months = begin.month - 1 + _MONTHS[interval] * intervals
    year, month = begin.year + months // 12, months % 12 + 1
    day = min(begin.day, calendar.monthrange(year, month)[1])
    return int(begin.replace(year=year, month=month, day=day).timestamp())
