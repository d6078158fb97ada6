"""Models of usage. Each model call has one event, which contains neither its prompt nor its answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import ExportId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.errors import Conflict, NotFound, Unprocessable


class Sums(msgspec.Struct, kw_only=True):
    """Sums over calls: tokens, micro-cents, milliseconds."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_1h_tokens: int = 0
    cost: int = 0
    charged: int = 0
    estimated: int = 0
    """Calls whose tokens the gateway counted."""
    attempts: int = 0
    total_ms: int = 0
    first_byte_ms: int = 0
    first_bytes: int = 0
    """Calls that had a first byte; ``first_byte_ms`` sums over these."""

    def add(self, event: UsageEvent) -> None:
        """Add one call."""
        self.calls += 1
        self.input_tokens += event.tokens.input
        self.output_tokens += event.tokens.output
        self.reasoning_tokens += event.tokens.reasoning
        self.cache_read_tokens += event.tokens.cache_read
        self.cache_write_tokens += event.tokens.cache_write
        self.cache_1h_tokens += event.tokens.cache_write_1h
        self.cost += event.cost
        self.charged += event.charged
        self.estimated += event.estimated
        self.attempts += event.attempts
        self.total_ms += event.total_ms
        self.first_byte_ms += event.first_byte_ms or 0
        self.first_bytes += event.first_byte_ms is not None


class Interval(StrEnum):
    """The length of one point of a series, in UTC."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Dimension(StrEnum):
    """The attribute by which usage is grouped."""

    MODEL = "model"
    MEMBER = "member"
    SERVICE_ACCOUNT = "service_account"
    CALLER = "caller"
    """The member or the service account."""
    KEY = "key"
    PROJECT = "project"
    AGENT = "agent"
    SESSION = "session"
    UPSTREAM = "upstream"
    OUTCOME = "outcome"


class Breakdown(StrEnum):
    """An attribute by which alone sums are kept, by day and by month, in the order in which rows are locked.

    Its value is that of the :class:`Dimension`, but for ``all``. Concurrent transactions of a workspace share the most
    rows of the last ones.
    """

    KEY = "key"
    CALLER = "caller"
    PROJECT = "project"
    AGENT = "agent"
    UPSTREAM = "upstream"
    MODEL = "model"
    OUTCOME = "outcome"
    ALL = "all"
    """All calls of the workspace. The value is empty."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of calls. ``since`` is included, ``until`` is excluded; both are UTC without a zone."""

    since: datetime
    until: datetime
    only: Mapping[Dimension, str] = {}
    """Required values by dimension."""
    byok: bool | None = None
    member_group: str = ""
    """A group of members: only calls of its present members; empty: all."""
    members: tuple[str, ...] = ()
    """Ids of members: only their calls; empty: all."""


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the calls of one group, one interval, or both."""

    start: datetime | None
    group: str | None
    """Id or name of the group, depending on the dimension; empty for calls without one."""
    sums: Sums


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as stored in SQL, with display names. Names of deleted subjects are empty."""

    event: UsageEvent
    at: datetime
    member_name: str = ""
    service_account_name: str = ""
    key_name: str = ""


class MissCause(StrEnum):
    """The cause for which an upstream read less of a prompt from its cache than an earlier call had sent."""

    UPSTREAM = "upstream"
    """Another upstream served the earlier call."""
    MODEL = "model"
    """Another model served the earlier call."""
    EXPIRED = "expired"
    """The pause was longer than the cache lives."""
    CONCURRENT = "concurrent"
    """The earlier call had not been answered yet."""
    UNCACHED = "uncached"
    """The upstream has cached nothing of this session: it does not cache, or the client sets no marks."""
    CHANGED = "changed"
    """None of these: the client changed the beginning of the prompt, or the upstream dropped its cache."""


class CacheMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A call that read less from a cache than it could."""

    stored: StoredEvent
    tokens: int
    """Tokens of the prompt that an earlier call had sent, and that were not read from a cache."""
    cost: int | None
    """The micro-cents that a read would have saved; None: the price is not known."""
    cause: MissCause


class SessionCaching(msgspec.Struct, frozen=True, kw_only=True):
    """How well the calls of a session used prompt caches. Amounts are micro-cents."""

    calls: int
    complete: bool
    """False if the session has more calls in the period than were looked at."""
    prompt_tokens: int
    read_tokens: int
    lost_tokens: int
    lost_cost: int
    """The sum over the misses whose price is known."""
    misses: tuple[CacheMiss, ...]
    """The earliest first."""


def call_not_found() -> NotFound:
    """Return the error for a call that does not exist or that the actor may not see."""
    return NotFound("call_not_found", "There is no call with this id, or it is not yours to see.")


def invalid_period() -> Unprocessable:
    """Return the error for a period that ends before it begins, or is too long."""
    return Unprocessable("invalid_period", "`to` must be later than `from`, and at most 400 days.")


def events_deleted(workspace_id: WorkspaceId, day: str) -> Conflict:
    """Return the error for a day whose sums contain calls whose events were deleted."""
    return Conflict(
        "events_deleted",
        f"Events of {workspace_id} on {day} have been deleted by retention; replaying them would double-count.",
    )


def sessions_by_day() -> Unprocessable:
    """Return the error for sessions by the hour: rollups distinguish sessions by day only."""
    return Unprocessable(
        "sessions_by_day", "Usage of sessions is kept by day. Ask for the interval `day` or `month`, or for events."
    )


class UsageExportFormat(StrEnum):
    """The file format of an export."""

    CSV = "csv"
    PARQUET = "parquet"


class ExportState(StrEnum):
    """The state of an export."""

    QUEUED = "queued"
    DONE = "done"
    FAILED = "failed"


class ExportPeriod(StrEnum):
    """The period of a scheduled export, in UTC."""

    DAILY = "daily"
    WEEKLY = "weekly"
    """Each week from Monday to Sunday."""
    MONTHLY = "monthly"


class ExportFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an export, readable without the others."""

    name: str
    events: int
    bytes: int


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An export of a period's events to files. Times are UTC without a zone."""

    id: ExportId
    workspace_id: WorkspaceId
    period: str | None = None
    """The period of a scheduled export, such as ``daily-2026-11-24``; None for others."""
    since: datetime
    until: datetime
    format: UsageExportFormat
    state: ExportState = ExportState.QUEUED
    files: tuple[ExportFile, ...] = ()
    after_at: datetime | None = None
    """Arrival of the last event that was written."""
    after_id: str | None = None
    created_by: str
    created_at: datetime
    finished_at: datetime | None = None

    def folder(self) -> str:
        """Return the prefix of its files in the bucket."""
        return f"usage/{self.workspace_id}/{self.id}/"


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A message that continues an export."""

    export_id: ExportId
    sent_at: int
    """Seconds since the epoch. The export's row is committed right after this time."""


class ExportSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace's schedule of exports."""

    workspace_id: WorkspaceId
    every: ExportPeriod
    format: UsageExportFormat
    changed_by: str
    changed_at: datetime


class NextExport(msgspec.Struct, frozen=True, kw_only=True):
    """The next export of a schedule. Times are UTC without a zone."""

    at: datetime
    """The beginning of the nightly run that makes it."""
    since: datetime
    until: datetime


def export_not_found() -> NotFound:
    """Return the error for an export that does not exist in the workspace."""
    return NotFound("export_not_found", "There is no export with this id.")


def file_not_found() -> NotFound:
    """Return the error for a file that an export does not have, or not any more."""
    return NotFound("file_not_found", "This export has no such file. Files are kept for 30 days. Request a new export.")


def schedule_not_found() -> NotFound:
    """Return the error for a workspace without a schedule of exports."""
    return NotFound("schedule_not_found", "No exports are scheduled. Set a schedule with PUT.")


def too_many_exports(most: int) -> Conflict:
    """Return the error for a workspace with ``most`` unfinished exports."""
    return Conflict("too_many_exports", f"{most} exports are still running. Wait until one of them is done.")


EVENTS = "events"
"""The kind of tallies over events, beside those over the rollups ``hours``, ``days`` and ``sessions``."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The sums by which reconciliation compares a set of events that is stored in two places."""

    calls: int = 0
    cost: int = 0
    charged: int = 0
    tokens: int = 0
    checksum: int | None = None
    """A checksum of the events' ids and amounts; None for rollups, which have no single events."""


class CounterSums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the events of one counter of a budget."""

    counter: str
    workspace_id: WorkspaceId
    cost: int
    charged: int
    tokens: int
    requests: int


class CounterValues(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a counter in DynamoDB."""

    scope: str
    unit: str
    spent: int
    reserved: int
    resets_at: int | None
    """Seconds since the epoch; None: never."""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """A drift: two stores of the same data differ."""

    workspace_id: WorkspaceId
    day: str
    kind: str
    """``events``, ``hours``, ``days``, ``sessions`` or ``counter``."""
    subject: str = ""
    """Key of the counter; empty for the other kinds."""
    expected: dict[str, int | None]
    found: dict[str, int | None]
    repaired: bool = False
