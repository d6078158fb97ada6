"""Sum events up. A rollup depends only on the set of its events, not on their order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from opencode_cloud.contracts.ids import KeyId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.usage.models import Sums


class Group(NamedTuple):
    """The group of an event in a rollup: its values of the rollup's key columns."""

    workspace_id: WorkspaceId
    start: datetime
    session: str
    """Empty in rollups that do not distinguish sessions."""
    model: str
    upstream: str
    member_id: MemberId
    service_account_id: ServiceAccountId
    key_id: KeyId
    project: str
    agent: str
    byok: bool
    outcome: str

    @property
    def grouping(self) -> bytes:
        """Hash that represents all columns except workspace and start in the row's key."""
        told_apart = (*self[2:10], str(int(self.byok)), self.outcome)
        return hashlib.sha256("\0".join(told_apart).encode()).digest()


def moment(event: UsageEvent) -> datetime:
    """Return the call's time of arrival in UTC, without a zone."""
    return datetime.fromtimestamp(event.at / 1000, UTC).replace(tzinfo=None)


def hour_start(at: datetime) -> datetime:
    """Return the start of the hour that contains ``at``."""
    return at.replace(minute=0, second=0, microsecond=0)


def day_start(at: datetime) -> datetime:
    """Return the start of the day that contains ``at``."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def month_start(at: datetime) -> datetime:
    """Return the start of the month that contains ``at``."""
    return day_start(at).replace(day=1)


def next_month(at: datetime) -> datetime:
    """Return the start of the month after the one that contains ``at``."""
    # No month has more than 31 days, so 32 days after the first is always in the next month.
    return month_start(month_start(at) + timedelta(days=32))


def hour_of(event: UsageEvent) -> datetime:
    """Return the start of the event's hour, UTC."""
    return hour_start(moment(event))


def day_of(event: UsageEvent) -> datetime:
    """Return the start of the event's day, UTC."""
    return day_start(moment(event))


def fold(
    events: Iterable[UsageEvent], start: Callable[[UsageEvent], datetime], *, sessions: bool = False
) -> dict[Group, Sums]:
    """Sum events up by the time that ``start`` returns, and by session if ``sessions``."""
    sums: dict[Group, Sums] = {}
    for event in events:
        group = Group(
            event.workspace_id,
            start(event),
            event.session if sessions else "",
            event.model,
            event.upstream,
            event.member_id,
            event.service_account_id,
            event.key_id,
            event.project,
            event.agent,
            event.byok,
            str(event.outcome),
        )
        sums.setdefault(group, Sums()).add(event)
    return sums
