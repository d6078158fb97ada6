"""Calculate windows of budgets, in UTC: the window of a given time, its start and its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, assert_never

import msgspec

from opencode_cloud.contracts.budgets import BudgetPeriod, Counter, KnownBudget


class Window(NamedTuple):
    """A period of time in which a budget can be used once. Times are seconds since the epoch."""

    name: str
    """Unique among the windows of a period."""
    starts_at: int
    resets_at: int | None
    """None: the window never ends."""


def window(period: BudgetPeriod, at: int) -> Window:
    """Return the window of ``period`` that contains ``at`` (seconds since the epoch): start included, end excluded."""
    if period is BudgetPeriod.TOTAL:
        return Window("total", 0, None)
    start, end, name = _bounds(period, datetime.fromtimestamp(at, UTC).replace(second=0, microsecond=0))
    return Window(start.strftime(name), int(start.timestamp()), int(end.timestamp()))


def counter(budget: KnownBudget, at: int, subject: str = "") -> Counter:
    """Return the counter of ``budget`` at ``at`` (seconds), with the limit that it has then.

    Pass ``subject`` when each subject has its own counter.
    """
    current = window(budget.period, at)
    whose = f"{budget.id}:{subject}" if subject else budget.id
    present = budget.as_of(at)
    of_subject = msgspec.structs.replace(present, subject=subject) if subject else present
    return Counter(
        key=f"budget#{whose}#{current.name}",
        budget=of_subject,
        starts_at=current.starts_at,
        resets_at=current.resets_at,
    )


def _bounds(
    period: Literal[BudgetPeriod.MINUTE, BudgetPeriod.HOUR, BudgetPeriod.DAY, BudgetPeriod.MONTH], minute: datetime
) -> tuple[datetime, datetime, str]:
    """Return start and end of the window that contains ``minute``, and the format of its name."""
    match period:
        case BudgetPeriod.MINUTE:
            return minute, minute + timedelta(minutes=1), "%Y-%m-%dT%H:%M"
        case BudgetPeriod.HOUR:
            start = minute.replace(minute=0)
            return start, start + timedelta(hours=1), "%Y-%m-%dT%H"
        case BudgetPeriod.DAY:
            start = minute.replace(hour=0, minute=0)
            return start, start + timedelta(days=1), "%Y-%m-%d"
        case BudgetPeriod.MONTH:
            start = minute.replace(day=1, hour=0, minute=0)
            # The first day of a month plus 32 days is always in the next month.
            return start, (start + timedelta(days=32)).replace(day=1), "%Y-%m"
        case _:
            assert_never(period)
