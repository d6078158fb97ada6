"""`/api/v1/workspaces/{workspace}/usage/exports`: files of events, written in the background."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict, Field

from opencode_cloud.contracts.ids import ExportId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.instants import Instant
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of
from opencode_cloud.usage.models import Export, ExportFile, ExportPeriod, ExportSchedule, ExportState, UsageExportFormat
from opencode_cloud.usage.routes.sheet import TAG

if TYPE_CHECKING:
    from opencode_cloud.usage.service import ExportService


class CreateExport(BaseModel):
    """The period and format of an export. The period selects calls by their time of arrival."""

    model_config = ConfigDict(extra="forbid")

    since: Instant = Field(alias="from", description="The earliest time.")
    until: Instant = Field(alias="to", description="The time before which; at most now.")
    format: UsageExportFormat = UsageExportFormat.CSV


class ExportedFile(BaseModel):
    """One file of an export, readable without the others. It has up to 500,000 events, the earliest first."""

    name: str
    events: int
    bytes: int
    url: str = Field(description="An address of the file that is valid for five minutes.")


class ExportView(BaseModel):
    """An export and its state."""

    id: str
    since: Instant = Field(serialization_alias="from")
    until: Instant = Field(serialization_alias="to")
    format: UsageExportFormat
    state: ExportState
    scheduled: str | None = Field(description="The period of a scheduled export, such as `daily-2026-11-24`.")
    events: int = Field(description="The number of events in its files so far.")
    created_by: str
    created_at: Instant
    finished_at: Instant | None


class ExportDetail(ExportView):
    """An export with its files."""

    files: list[ExportedFile] = Field(description="Empty until the export is done, and after 30 days.")


class SetExportSchedule(BaseModel):
    """The schedule to set."""

    model_config = ConfigDict(extra="forbid")

    every: ExportPeriod = Field(description="Days, weeks from Monday, or months; in UTC.")
    format: UsageExportFormat = UsageExportFormat.CSV


class ScheduleView(BaseModel):
    """The schedule of exports."""

    every: ExportPeriod
    format: UsageExportFormat
    changed_by: str
    changed_at: Instant


class ExportRoutes:
    """Routes of exports."""

    def __init__(self, exports: ExportService, gate: Gate) -> None:
        self._exports = exports
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, read = self._gate.add, f"{WORKSPACE}/usage/exports", Permission.USAGE_READ
        add(f"GET {all_}", self.list, read, "List exports", TAG)
        add(f"POST {all_}", self.create, read, "Export model calls", TAG, HTTPStatus.ACCEPTED)
        add(f"GET {all_}/schedule", self.schedule, read, "Read the schedule of exports", TAG)
        add(f"PUT {all_}/schedule", self.put_schedule, read, "Schedule exports", TAG)
        add(f"DELETE {all_}/schedule", self.unschedule, read, "Stop scheduled exports", TAG, HTTPStatus.NO_CONTENT)
        add(f"GET {all_}/<export_id>", self.get, read, "Read an export", TAG)

    def list(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[ExportView]]:
        """List exports of the last 30 days, the newest first."""
        after = decode_id(cursor)
        exports = self._exports.of_workspace(workspace_id, after, limit + 1)
        return document(page_of(exports, limit, lambda export: (export.id,), show))

    def create(self, workspace_id: WorkspaceId, body: CreateExport) -> Response[ExportView]:
        """Export all model calls of a period to files. The export runs in the background; read its state later.

        Files are kept for 30 days. They contain amounts in micro-cents and in dollars.
        """
        export = self._exports.create(self._gate.actor, workspace_id, body.since, body.until, body.format)
        return document(show(export), HTTPStatus.ACCEPTED)

    def get(self, workspace_id: WorkspaceId, export_id: ExportId) -> Response[ExportDetail]:
        """Read an export's state, and the addresses of its files, which are valid for five minutes."""
        export, files = self._exports.fetch(self._gate.actor, workspace_id, export_id)
        return document(show_detail(export, files))

    def schedule(self, workspace_id: WorkspaceId) -> Response[ScheduleView]:
        """Read the schedule of exports."""
        return document(_show_schedule(self._exports.schedule(workspace_id)))

    def put_schedule(self, workspace_id: WorkspaceId, body: SetExportSchedule) -> Response[ScheduleView]:
        """Schedule an export for the night after each day, week or month. The list of exports includes it."""
        schedule = self._exports.put_schedule(self._gate.actor, workspace_id, body.every, body.format)
        return document(_show_schedule(schedule))

    def unschedule(self, workspace_id: WorkspaceId) -> Response[None]:
        """Stop scheduled exports. Existing exports stay."""
        self._exports.delete_schedule(self._gate.actor, workspace_id)
        return nothing()


def show(export: Export) -> ExportView:
    """Return an export as the API lists it."""
    return ExportView(
        id=export.id,
        since=export.since,
        until=export.until,
        format=export.format,
        state=export.state,
        scheduled=export.period,
        events=sum(file.events for file in export.files),
        created_by=export.created_by,
        created_at=export.created_at,
        finished_at=export.finished_at,
    )


def show_detail(export: Export, files: Sequence[tuple[ExportFile, str]]) -> ExportDetail:
    """Return an export with its files."""
    shown = [ExportedFile(name=file.name, events=file.events, bytes=file.bytes, url=url) for file, url in files]
    return ExportDetail(files=shown, **dict(show(export)))


def _show_schedule(schedule: ExportSchedule) -> ScheduleView:
    return ScheduleView(
        every=schedule.every,
        format=schedule.format,
        changed_by=schedule.changed_by,
        changed_at=schedule.changed_at,
    )
