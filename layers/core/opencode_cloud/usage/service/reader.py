"""Read usage: the calls that an actor may see, and sums over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import MAXYEAR, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.access import not_permitted
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.usage.models import (
    Dimension,
    Interval,
    Selection,
    StoredEvent,
    Sums,
    UsageLine,
    call_not_found,
    invalid_period,
    sessions_by_day,
)
from opencode_cloud.usage.service.rollups import day_start, hour_start

if TYPE_CHECKING:
    from opencode_cloud.usage.store.events import EventArchive
    from opencode_cloud.usage.store.figures import Figures

LONGEST = timedelta(days=400)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class UsageReader:
    """Reads usage. Without ``usage:read``, actors see only their own calls."""

    def __init__(self, figures: Figures, archive: EventArchive) -> None:
        self._figures = figures
        self._archive = archive

    def total(self, actor: Actor, workspace_id: WorkspaceId, selection: Selection) -> Sums:
        """Return sums over calls; raises ``not_permitted`` or ``invalid_period``."""
        return self._figures.total(workspace_id, whole(visible(actor, selection), None, None))

    def groups(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        selection: Selection,
        by: Dimension,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[UsageLine]:
        """Return sums by group that follow the key ``after`` (cost, group), the most expensive group first."""
        return self._figures.groups(workspace_id, whole(visible(actor, selection), None, by), by, after, limit)

    def series(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        selection: Selection,
        interval: Interval,
        by: Dimension | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[UsageLine]:
        """Return sums by interval, and by group if given, that follow ``after`` (start, group), the earliest first."""
        whole_selection = whole(visible(actor, selection), interval, by)
        return self._figures.series(workspace_id, whole_selection, interval, by, after, limit)

    def names(self, by: Dimension | None, lines: Sequence[UsageLine]) -> Mapping[str, str]:
        """Return the display names of the groups of ``lines`` that have one."""
        if by is None:
            return {}
        return self._figures.names(by, sorted({line.group for line in lines if line.group}))

    def groups_of_members(self, workspace_id: WorkspaceId, lines: Sequence[UsageLine]) -> Mapping[str, Sequence[str]]:
        """Return the names of the present groups of each member of ``lines`` who is in one, in the order of names."""
        return self._figures.groups_of_members(workspace_id, [line.group for line in lines if line.group])

    def events(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        selection: Selection,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[StoredEvent]:
        """Return events that follow the key ``after`` (time, id), the newest first."""
        return self._archive.newest(workspace_id, checked(visible(actor, selection)), after, limit)

    def event(self, actor: Actor, workspace_id: WorkspaceId, call_id: CallId) -> StoredEvent:
        """Return the event of a call; raises ``call_not_found``."""
        stored = self._archive.get(workspace_id, call_id)
        if stored is None:
            raise call_not_found()
        dimension, own = _own(actor)
        theirs = stored.event.member_id if dimension is Dimension.MEMBER else stored.event.service_account_id
        if not actor.may(Permission.USAGE_READ) and theirs != own:
            raise call_not_found()
        return stored


def visible(actor: Actor, selection: Selection) -> Selection:
    """Restrict a selection to the actor's calls; raises ``not_permitted`` if it names another member or account."""
    if actor.may(Permission.USAGE_READ):
        return selection
    dimension, own = _own(actor)
    for holder in (Dimension.MEMBER, Dimension.SERVICE_ACCOUNT):
        if holder in selection.only and (holder is not dimension or selection.only[holder] != own):
            raise not_permitted(Permission.USAGE_READ)
    return msgspec.structs.replace(selection, only={**selection.only, dimension: own})


def checked(selection: Selection) -> Selection:
    """Return ``selection``; raises ``invalid_period``."""
    # `datetime` ends with the year 9999, and later calculations must not exceed it.
    if not timedelta(0) < selection.until - selection.since <= LONGEST or selection.until.year == MAXYEAR:
        raise invalid_period()
    return selection


def whole(selection: Selection, interval: Interval | None, by: Dimension | None) -> Selection:
    """Widen a period to the whole hours of rollups, or to whole days if it distinguishes sessions.

    Raises ``invalid_period``, or ``sessions_by_day`` for sessions by the hour.
    """
    checked(selection)
    sessions = by is Dimension.SESSION or Dimension.SESSION in selection.only
    if sessions and interval is Interval.HOUR:
        raise sessions_by_day()
    start, length = (day_start, _DAY) if sessions else (hour_start, _HOUR)
    until = start(selection.until)
    if until < selection.until:
        until += length
    now = utc_now()
    if interval is not Interval.HOUR and until > now:
        # There are no calls after now, so read today as a whole day, not hour by hour.
        until = max(until, day_start(now) + _DAY)
    return msgspec.structs.replace(selection, since=start(selection.since), until=until)


def _own(actor: Actor) -> tuple[Dimension, str]:
    if actor.kind is ActorKind.SERVICE_ACCOUNT:
        return Dimension.SERVICE_ACCOUNT, actor.id
    return Dimension.MEMBER, actor.id
