"""Calculate windows of budgets, in UTC: the window of a given time, its start and its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from opencode_cloud.contracts.budgets import Counter, KnownBudget, Period


class Window(NamedTuple):
    """A period of time in which a budget can be used once. Times are seconds since the epoch."""

    name: str
    """Unique among the windows of a period."""
    starts_at: int
    resets_at: int | None
    """None: the window never ends."""


_NAMES = {
    Period.MINUTE: "%Y-%m-%dT%H:%M",
    Period.HOUR: "%Y-%m-%dT%H",
    Period.DAY: "%Y-%m-%d",
    Period.MONTH: "%Y-%m",
}
_LENGTHS = {Period.MINUTE: timedelta(minutes=1), Period.HOUR: timedelta(hours=1), Period.DAY: timedelta(days=1)}


def window(period: Period, at: int) -> Window:
    """Return the window of ``period`` that contains ``at`` (seconds since the epoch): start included, end excluded."""
    if period is Period.TOTAL:
        return Window("total", 0, None)
    start = _start(period, datetime.fromtimestamp(at, UTC))
    # The first day of a month plus 32 days is always in the next month.
    end = (start + timedelta(days=32)).replace(day=1) if period is Period.MONTH else start + _LENGTHS[period]
    return Window(start.strftime(_NAMES[period]), int(start.timestamp()), int(end.timestamp()))


def counter(budget: KnownBudget, at: int, subject: str = "") -> Counter:
    """Return the counter of ``budget`` at ``at`` (seconds). Pass ``subject`` when each subject has its own counter."""
    found = window(budget.period, at)
    whose = f"{budget.id}:{subject}" if subject else budget.id
    known = msgspec.structs.replace(budget, subject=subject) if subject else budget
    return Counter(
        key=f"budget#{whose}#{found.name}", budget=known, starts_at=found.starts_at, resets_at=found.resets_at
    )


def _start(period: Period, moment: datetime) -> datetime:
    match period:
        case Period.MONTH:
            return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        case Period.DAY:
            return moment.replace(hour=0, minute=0, second=0, microsecond=0)
        case Period.HOUR:
            return moment.replace(minute=0, second=0, microsecond=0)
        case _:
            return moment.replace(second=0, microsecond=0)
