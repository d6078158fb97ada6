"""The nouns of usage: one event for every model call. Never a prompt, never an answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import ExportId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.errors import Conflict, NotFound, Unprocessable


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An event, with what it was settled on."""

    event: UsageEvent
    counters: tuple[str, ...] = ()
    """Keys of budget counters."""


class Sums(msgspec.Struct, kw_only=True):
    """What calls add up to: tokens, micro-cents, milliseconds."""

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
    """Calls whose tokens were counted by us."""
    attempts: int = 0
    total_ms: int = 0
    first_byte_ms: int = 0
    first_bytes: int = 0
    """Calls that had a first byte: ``first_byte_ms`` is their sum."""

    def add(self, event: UsageEvent) -> None:
        """Count one more call."""
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
    """How long one point of a series lasts, in UTC."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Dimension(StrEnum):
    """By what usage is grouped."""

    MODEL = "model"
    MEMBER = "member"
    SERVICE_ACCOUNT = "service_account"
    KEY = "key"
    SESSION = "session"
    UPSTREAM = "upstream"
    OUTCOME = "outcome"


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls somebody wants to see. ``since`` counts, ``until`` does not; both UTC without a zone."""

    since: datetime
    until: datetime
    only: Mapping[Dimension, str] = {}
    """The value that each of these dimensions must have."""
    byok: bool | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls of one group, one interval, or both add up to."""

    start: datetime | None
    group: str | None
    """Id or name, as the dimension has them; empty for calls without one."""
    sums: Sums


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An event as SQL keeps it, with the names that people know things by, as far as these still exist."""

    event: UsageEvent
    at: datetime
    member_name: str = ""
    service_account_name: str = ""
    key_name: str = ""


def call_not_found() -> NotFound:
    """There is no such call, or it is not the actor's to see."""
    return NotFound("call_not_found", "There is no call with this id, or it is not yours to see.")


def invalid_period() -> Unprocessable:
    """A period ends before it begins, or is too long."""
    return Unprocessable("invalid_period", "`to` must be later than `from`, and at most 400 days.")


def events_deleted(workspace_id: WorkspaceId, day: str) -> Conflict:
    """Sums of a day count calls whose events were deleted."""
    return Conflict(
        "events_deleted",
        f"Events of {workspace_id} on {day} have been deleted by retention; replaying them would double-count.",
    )


def sessions_by_day() -> Unprocessable:
    """Rollups tell sessions apart by day only."""
    return Unprocessable(
        "sessions_by_day", "Usage of sessions is kept by day. Ask for the interval `day` or `month`, or for events."
    )


class ExportFormat(StrEnum):
    """How exported events are written."""

    CSV = "csv"
    PARQUET = "parquet"


class ExportState(StrEnum):
    """How far an export is."""

    QUEUED = "queued"
    DONE = "done"
    FAILED = "failed"


class Every(StrEnum):
    """How often a scheduled export is made, in UTC."""

    DAILY = "daily"
    WEEKLY = "weekly"
    """From Monday to Sunday."""
    MONTHLY = "monthly"


class ExportFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an export, complete in itself."""

    name: str
    events: int
    bytes: int


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The events of a period in files. Times are UTC without a zone."""

    id: ExportId
    workspace_id: WorkspaceId
    period: str | None = None
    """Of a scheduled export, such as ``daily-2026-11-24``."""
    since: datetime
    until: datetime
    format: ExportFormat
    state: ExportState = ExportState.QUEUED
    files: tuple[ExportFile, ...] = ()
    after_at: datetime | None = None
    """Arrival of the last event that was written."""
    after_id: str | None = None
    created_by: str
    created_at: datetime
    finished_at: datetime | None = None

    def folder(self) -> str:
        """Return where in the bucket its files are."""
        return f"usage/{self.workspace_id}/{self.id}/"


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A message: an export is to be gone on with."""

    export_id: ExportId
    sent_at: int
    """Seconds since the epoch; the export's row is committed right after."""


class ExportSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """Which exports are made by themselves."""

    workspace_id: WorkspaceId
    every: Every
    format: ExportFormat
    changed_by: str
    changed_at: datetime


def export_not_found() -> NotFound:
    """There is no such export in the workspace."""
    return NotFound("export_not_found", "There is no export with this id.")


def schedule_not_found() -> NotFound:
    """No exports are scheduled in the workspace."""
    return NotFound("schedule_not_found", "No exports are scheduled. Set a schedule with PUT.")


def too_many_exports(most: int) -> Conflict:
    """So many exports of a workspace are still being made."""
    return Conflict("too_many_exports", f"{most} exports are still being made. Wait for one of them to be done.")


EVENTS = "events"
"""Beside the rollups ``hours``, ``days`` and ``sessions``: a place in which a day's calls can be added up."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared of one set of events, kept in two places."""

    calls: int = 0
    cost: int = 0
    charged: int = 0
    tokens: int = 0
    checksum: int | None = None
    """Of the events' ids and amounts; None where only sums are kept."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of one counter of a budget add up to."""

    counter: str
    workspace_id: WorkspaceId
    cost: int
    charged: int
    tokens: int
    requests: int


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What the counter itself says."""

    scope: str
    unit: str
    spent: int
    reserved: int
    resets_at: int | None
    """Seconds since the epoch; None: never."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A drift: two places that ought to say the same do not."""

    workspace_id: WorkspaceId
    day: str
    kind: str
    """``events``, ``hours``, ``days``, ``sessions`` or ``counter``."""
    subject: str = ""
    """Key of the counter."""
    expected: dict[str, int | None]
    found: dict[str, int | None]
    repaired: bool = False
