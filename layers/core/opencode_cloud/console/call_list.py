"""The list of model calls: served ones from usage, and refused ones from the audit trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.audit.models import AuditFilter
from opencode_cloud.console.ranges import DayRange, month_of, range_of
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.contracts.usage import Outcome
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.usage.models import Dimension, Selection

if TYPE_CHECKING:
    from opencode_cloud.audit.models import AuditRecord
    from opencode_cloud.audit.service import AuditReading
    from opencode_cloud.console.app import PageRequest
    from opencode_cloud.usage.models import StoredEvent
    from opencode_cloud.usage.service import UsageReader

REFUSED_CALL = "call.refused"
"""The action of the audit trail that keeps a call refused before it reached an upstream."""
SHOWN = {
    "": gettext_noop("all calls"),
    "refused": gettext_noop("refused before an upstream"),
    **{each.value: each.value for each in Outcome if each is not Outcome.REFUSED},
    "upstream": gettext_noop("refused by an upstream"),
}
"""Values of the filter ``show``."""
FILTERS = {
    "model": Dimension.MODEL,
    "agent": Dimension.AGENT,
    "project": Dimension.PROJECT,
    "caller": Dimension.CALLER,
    "key": Dimension.KEY,
    "session": Dimension.SESSION,
}
"""Filters by the name in the query."""
LONGEST = 128
"""The most characters of a filter."""


class CallFilter(msgspec.Struct, frozen=True):
    """The calls that a page asks for, from the query of its address."""

    show: str
    """A key of :data:`SHOWN`."""
    days: DayRange
    only: Mapping[str, str]
    """Required values by a name of :data:`FILTERS`."""


class CallRow(msgspec.Struct, frozen=True):
    """A call in the list: served, or refused before it reached an upstream."""

    at: datetime
    id: str
    refused: bool
    caller: str
    model: str
    key: str
    outcome: str
    status: int
    reason: str
    cost: str
    tokens: int
    agent: str
    project: str
    correlation_id: str

    @property
    def key_in_list(self) -> str:
        """The position in the list, as text that sorts like it."""
        return f"{self.at:%Y-%m-%dT%H:%M:%S.%f}/{self.id}"


class CallList:
    """Reads the calls of a workspace. Without ``usage:read``, people see only their own."""

    def __init__(self, reader: UsageReader, reading: AuditReading) -> None:
        self._reader = reader
        self._reading = reading

    def newest(
        self, request: PageRequest, wanted: CallFilter, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[CallRow]:
        """Return calls that follow the key ``after`` (time, id), the newest first."""
        rows = [*self._served(request, wanted, after, limit), *self._refused(request, wanted, after, limit)]
        rows.sort(key=lambda row: (row.at, row.id), reverse=True)
        return rows[:limit]

    def _served(
        self, request: PageRequest, wanted: CallFilter, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[CallRow]:
        if wanted.show == "refused":
            return ()
        only = {FILTERS[name]: value for name, value in wanted.only.items()}
        if wanted.show:
            only[Dimension.OUTCOME] = Outcome.REFUSED if wanted.show == "upstream" else wanted.show
        selection = Selection(since=wanted.days.since, until=wanted.days.until, only=only)
        found = self._reader.events(request.actor, request.workspace.id, selection, after, limit)
        return [_served(stored) for stored in found]

    def _refused(
        self, request: PageRequest, wanted: CallFilter, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[CallRow]:
        """Return refusals. They know model, caller and key, so other filters leave them out."""
        if wanted.show not in {"", "refused"} or not {*wanted.only} <= {"model", "caller"}:
            return ()
        own = "" if request.may(Permission.USAGE_READ) else request.actor.id
        caller = wanted.only.get("caller", "")
        if own and caller not in {"", own}:
            return ()
        refused = AuditFilter(
            action=REFUSED_CALL,
            actor=own or caller,
            target=wanted.only.get("model", ""),
            since=wanted.days.since,
            until=wanted.days.until,
        )
        return [_refusal(each) for each in self._reading.find(request.workspace.id, refused, after, limit)]


def filter_of(request: PageRequest) -> CallFilter:
    """Return the filter of a request. Unknown values count as the default ones."""
    show = request.query("show") if request.query("show") in SHOWN else ""
    days = range_of(request.query("from"), request.query("to"), month_of(utc_now()))
    only = {name: request.query(name)[:LONGEST] for name in FILTERS if request.query(name)}
    return CallFilter(show, days, only)


def caller_of(stored: StoredEvent) -> str:
    """Return the name of a call's caller, or the id of one that was deleted."""
    event = stored.event
    return stored.member_name or stored.service_account_name or event.member_id or event.service_account_id


def _served(stored: StoredEvent) -> CallRow:
    event = stored.event
    return CallRow(
        at=stored.at,
        id=event.id,
        refused=False,
        caller=caller_of(stored),
        model=event.model,
        key=stored.key_name,
        outcome=str(event.outcome),
        status=event.status,
        reason=event.error,
        cost=money.shown(event.cost),
        tokens=event.tokens.total,
        agent=event.agent,
        project=event.project,
        correlation_id=event.correlation_id,
    )


def _refusal(entry: AuditRecord) -> CallRow:
    facts = entry.after or {}
    by_key = entry.target_kind == "key"
    return CallRow(
        at=entry.at,
        id=entry.id,
        refused=True,
        caller=entry.actor_name or entry.actor_id,
        model="" if by_key else entry.target_name,
        key=entry.target_name if by_key else "",
        outcome=str(facts.get("rule", "refused")),
        status=int(facts.get("status", 0)),
        reason=str(facts.get("reason", "")),
        cost="",
        tokens=0,
        agent="",
        project="",
        correlation_id=entry.correlation_id,
    )
