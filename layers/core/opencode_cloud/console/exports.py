"""The page of exports: files of all calls of a range, made on request or by a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import MAXYEAR, datetime
from typing import TYPE_CHECKING, ClassVar

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.forms import Form, InvalidForm
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.console.ranges import DAY, month_of, range_of
from opencode_cloud.contracts.ids import ExportId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_id, encode_cursor
from opencode_cloud.usage.models import ExportPeriod, ExportState, UsageExportFormat
from opencode_cloud.usage.service.exporting import KEPT, SCHEDULER
from opencode_cloud.usage.service.reader import LONGEST
from opencode_cloud.usage.service.rollups import day_start

if TYPE_CHECKING:
    from opencode_cloud.usage.models import Export, ExportFile, ExportSchedule
    from opencode_cloud.usage.service import ExportService

PATH = "/usage/exports"
OFF = "off"
"""The value of the field ``every`` that stops scheduled exports."""
FORMATS = {UsageExportFormat.CSV: "CSV", UsageExportFormat.PARQUET: "Parquet"}
PERIODS = {
    OFF: gettext_noop("never"),
    ExportPeriod.DAILY: gettext_noop("every day"),
    ExportPeriod.WEEKLY: gettext_noop("every week (Monday to Sunday)"),
    ExportPeriod.MONTHLY: gettext_noop("every month"),
}
STATES = {
    ExportState.QUEUED: ("wait", gettext_noop("being written")),
    ExportState.DONE: ("good", gettext_noop("ready")),
    ExportState.FAILED: ("bad", gettext_noop("failed")),
}
"""The color of each state, and its words."""


class ExportRow(msgspec.Struct, frozen=True):
    """An export in the list."""

    export: Export
    first: str
    last: str
    """The last day of a range of whole days; empty for other ranges."""
    calls: int
    is_scheduled: bool
    files: Sequence[tuple[ExportFile, str]]
    """The files that can be fetched, each with its size in words."""
    kept_until: datetime


class WantedExport(msgspec.Struct, frozen=True):
    """A valid form for an export."""

    since: datetime
    until: datetime
    format: UsageExportFormat


class ExportPages:
    """The exports of a workspace and their schedule, for roles with ``usage:read``."""

    PAGE: ClassVar[ConsolePage] = menu.EXPORTS

    def __init__(self, app: ConsoleApp, exports: ExportService) -> None:
        self._app = app
        self._exports = exports

    def mount(self) -> None:
        """Add every page."""
        read, routes = Permission.USAGE_READ, self._app.add(self.PAGE, self.show)
        routes.post(PATH, self.create, read, self.show)
        routes.post(f"{PATH}/schedule", self.set_schedule, read, self.show)
        routes.get(f"{PATH}/<export_id>/<name>", self.download, read)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../usage/exports?from=2026-11-01&to=2026-11-30``: exports, the newest first, and two forms."""
        workspace_id, after = request.workspace.id, decode_id(request.query("cursor"))
        found = self._exports.of_workspace(workspace_id, after, DEFAULT_LIMIT + 1)
        shown = found[:DEFAULT_LIMIT]
        schedule = self._schedule(request)
        return self._app.page(
            request,
            polls=True,
            exports=[row_of(each) for each in shown],
            runs=any(each.state is ExportState.QUEUED for each in shown),
            more=encode_cursor((shown[-1].id,)) if len(found) > DEFAULT_LIMIT else "",
            later=after is not None,
            filled=filled(request),
            schedule=schedule,
            next=self._exports.following(schedule) if schedule else None,
            scheduled=scheduled(request, schedule),
            formats=FORMATS,
            periods=PERIODS,
            states=STATES,
            day=DAY,
        )

    def create(self, request: PageRequest) -> Response[str]:
        """``POST .../usage/exports``: request an export."""
        wanted = wanted_of(request.form, utc_now())
        self._exports.create(request.actor, request.workspace.id, wanted.since, wanted.until, wanted.format)
        return see(f"{request.base}{PATH}?done=export")

    def set_schedule(self, request: PageRequest) -> Response[str]:
        """``POST .../usage/exports/schedule``: set the schedule, or stop it."""
        form, faults = request.form, list[DocumentFault]()
        period = next((each for each in ExportPeriod if each == form.one("every")), None)
        if period is None and form.one("every") != OFF:
            faults.append(_unoffered("every"))
        written_as = _format(form, "scheduled_format", faults)
        if faults:
            raise InvalidForm(faults)
        actor, workspace_id = request.actor, request.workspace.id
        if period is not None:
            self._exports.put_schedule(actor, workspace_id, period, written_as)
            return see(f"{request.base}{PATH}?done=schedule")
        with suppress(NotFound):  # nothing is scheduled, as the form asks
            self._exports.delete_schedule(actor, workspace_id)
        return see(f"{request.base}{PATH}?done=unscheduled")

    def download(self, request: PageRequest, export_id: ExportId, name: str) -> Response[str]:
        """``GET .../usage/exports/{export_id}/{name}``: lead to a file. The audit trail records it."""
        return see(self._exports.address(request.actor, request.workspace.id, export_id, name))

    def _schedule(self, request: PageRequest) -> ExportSchedule | None:
        try:
            return self._exports.schedule(request.workspace.id)
        except NotFound:
            return None


def row_of(export: Export) -> ExportRow:
    """Return an export as the list shows it."""
    whole = all(each == day_start(each) for each in (export.since, export.until))
    ends = export.created_at + KEPT
    kept = export.state is ExportState.DONE and ends >= utc_now()
    return ExportRow(
        export=export,
        first=f"{export.since:%Y-%m-%d}" if whole else "",
        last=f"{export.until - DAY:%Y-%m-%d}" if whole else "",
        calls=sum(file.events for file in export.files),
        is_scheduled=export.created_by == SCHEDULER,
        files=[(file, size(file.bytes)) for file in export.files] if kept else [],
        kept_until=ends,
    )


def filled(request: PageRequest) -> dict[str, str]:
    """Return the values of the form for an export: those that were refused, else those of the page's address."""
    names = ("from", "to", "format")
    if request.failed and "from" in request.form.fields:
        return {name: request.form.one(name) for name in names}
    days = range_of(request.query("from"), request.query("to"), month_of(utc_now()))
    return {"from": days.first, "to": min(days.last, f"{utc_now():%Y-%m-%d}"), "format": request.query("format")}


def scheduled(request: PageRequest, schedule: ExportSchedule | None) -> dict[str, str]:
    """Return the values of the form of the schedule: those that were refused, else the present ones."""
    if request.failed and "every" in request.form.fields:
        return {name: request.form.one(name) for name in ("every", "scheduled_format")}
    if schedule is None:
        return {"every": OFF, "scheduled_format": UsageExportFormat.CSV}
    return {"every": schedule.every, "scheduled_format": schedule.format}


def wanted_of(form: Form, now: datetime) -> WantedExport:
    """Return the export that a form asks for; raises :class:`InvalidForm` with every fault. Its days are UTC."""
    faults: list[DocumentFault] = []
    since, last = _day(form, "from", faults), _day(form, "to", faults)
    written_as = _format(form, "format", faults)
    if since and since > now:
        faults.append(DocumentFault(path="/from", message=gettext_noop("Choose a day that has begun in UTC")))
    if since and last and last < since:
        faults.append(DocumentFault(path="/to", message=gettext_noop("Choose a day that is not before the first day")))
    if since and last and last - since >= LONGEST:
        faults.append(DocumentFault(path="/to", message=gettext_noop("Choose at most 400 days")))
    if faults or since is None or last is None:
        raise InvalidForm(faults)
    return WantedExport(since, last + DAY, written_as)


def size(number: int) -> str:
    """Return a number of bytes in words, such as ``1.2 MB``."""
    amount = float(number)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _day(form: Form, name: str, faults: list[DocumentFault]) -> datetime | None:
    try:
        day = datetime.strptime(form.one(name), "%Y-%m-%d")  # noqa: DTZ007 - UTC without a zone, as in SQL
    except ValueError:
        day = None
    # The day after the last one must exist too.
    if day is None or day.year == MAXYEAR:
        faults.append(DocumentFault(path=f"/{name}", message=gettext_noop("Write a day such as 2027-01-31")))
        return None
    return day


def _format(form: Form, name: str, faults: list[DocumentFault]) -> UsageExportFormat:
    found = next((each for each in FORMATS if each == form.one(name)), None)
    if found is None:
        faults.append(_unoffered(name))
    return found or UsageExportFormat.CSV


def _unoffered(name: str) -> DocumentFault:
    return DocumentFault(path=f"/{name}", message=gettext_noop("Choose one of the offered values"))
