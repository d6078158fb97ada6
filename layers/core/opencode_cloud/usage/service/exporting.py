"""Exports: write the events of a period to files in the background, for people or by a schedule."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import ExportId, WorkspaceId
from opencode_cloud.kit import log
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import logger
from opencode_cloud.usage.models import (
    Export,
    ExportFile,
    ExportPeriod,
    ExportRequest,
    ExportSchedule,
    ExportState,
    NextExport,
    Selection,
    StoredEvent,
    UsageExportFormat,
    export_not_found,
    file_not_found,
    schedule_not_found,
    too_many_exports,
)
from opencode_cloud.usage.service.reader import checked
from opencode_cloud.usage.service.rollups import day_start
from opencode_cloud.usage.sheets import EVENT_COLUMNS, as_csv, event_row

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.usage.store.events import EventArchive
    from opencode_cloud.usage.store.exports import ExportFiles, ExportQueue, ExportStore

MOST_UNFINISHED = 10
EVENTS_A_FILE = 500_000
"""About 200 MB of CSV, which fits on a function's local disk."""
EVENTS_A_READ = 5000
STEP_SECONDS = 90
"""Seconds after which another message continues. One more file takes less than the rest of the time limit."""
KEPT = timedelta(days=30)
"""The retention of files, which a lifecycle rule of the bucket enforces."""
NIGHTLY = timedelta(hours=4, minutes=19)
"""Time after midnight in UTC at which the nightly run begins, which makes scheduled exports."""
_DAY = timedelta(days=1)
COMMITTED_SECONDS = 60
Convert = Callable[[Path, Sequence[str], Path], None]
SCHEDULER = "schedule"


class ExportService:
    """Create, list and schedule exports of a workspace."""

    def __init__(
        self, outbox: Outbox, audit: AuditTrail, store: ExportStore, queue: ExportQueue, files: ExportFiles
    ) -> None:
        self._outbox = outbox
        self._audit = audit
        self._store = store
        self._queue = queue
        self._files = files

    def create(
        self, actor: Actor, workspace_id: WorkspaceId, since: datetime, until: datetime, form: UsageExportFormat
    ) -> Export:
        """Start an export of a period's events; raises ``invalid_period`` or ``too_many_exports``."""
        now = utc_now()
        checked(Selection(since=since, until=min(until, now)))
        export = Export(
            id=ExportId(new_id("exp")),
            workspace_id=workspace_id,
            since=since,
            until=min(until, now),
            format=form,
            created_by=actor.name,
            created_at=now,
        )
        with self._outbox.unit() as unit:
            if self._store.unfinished(unit.connection, workspace_id) >= MOST_UNFINISHED:
                raise too_many_exports(MOST_UNFINISHED)
            self._store.add(unit.connection, export)
            after = {"from": str(since), "to": str(export.until), "format": form.value}
            self._audit.record(unit.connection, actor, "export.created", Target("export", export.id), after=after)
            # Sent before the commit, so that no committed export lacks its message; `resume` waits for the row.
            self._queue.send(continuation(export.id))
        return export

    def of_workspace(self, workspace_id: WorkspaceId, after: str | None, limit: int) -> Sequence[Export]:
        """Return exports that follow the id ``after``, the newest first."""
        return self._store.of_workspace(workspace_id, after, limit)

    def get(self, workspace_id: WorkspaceId, export_id: ExportId) -> Export:
        """Return an export; raises ``export_not_found``."""
        export = self._store.get(export_id, workspace_id)
        if export is None:
            raise export_not_found()
        return export

    def fetch(
        self, actor: Actor, workspace_id: WorkspaceId, export_id: ExportId
    ) -> tuple[Export, Sequence[tuple[ExportFile, str]]]:
        """Return an export and its files, each with an address valid for some minutes; record this in the audit log.

        Raises ``export_not_found``. An unfinished export and one older than :data:`KEPT` have no files.
        """
        export = self.get(workspace_id, export_id)
        if export.state is not ExportState.DONE or export.created_at + KEPT < utc_now():
            return export, []
        with self._outbox.unit() as unit:
            self._audit.record(unit.connection, actor, "export.fetched", Target("export", export_id))
        return export, list(self._files.addresses(export))

    def address(self, actor: Actor, workspace_id: WorkspaceId, export_id: ExportId, name: str) -> str:
        """Return the address of one file, valid for some minutes; record this in the audit log.

        Raises ``export_not_found`` or ``file_not_found``.
        """
        export = self.get(workspace_id, export_id)
        if name not in {file.name for file in export.files}:
            raise file_not_found()
        _, files = self.fetch(actor, workspace_id, export_id)
        addresses = {file.name: address for file, address in files}
        if name not in addresses:
            raise file_not_found()
        return addresses[name]

    def following(self, schedule: ExportSchedule, now: datetime | None = None) -> NextExport:
        """Return the next export of a schedule: the first night whose last complete period has no export yet."""
        now = now or utc_now()
        night = day_start(now)
        if now - night >= NIGHTLY:
            night += _DAY
        since, until = last_period(schedule.every, night)
        if self._store.has_period(schedule.workspace_id, period_name(schedule.every, since), schedule.format):
            while last_period(schedule.every, night) == (since, until):
                night += _DAY
            since, until = last_period(schedule.every, night)
        return NextExport(at=night + NIGHTLY, since=since, until=until)

    def schedule(self, workspace_id: WorkspaceId) -> ExportSchedule:
        """Return the schedule; raises ``schedule_not_found``."""
        schedule = self._store.schedule(workspace_id)
        if schedule is None:
            raise schedule_not_found()
        return schedule

    def put_schedule(
        self, actor: Actor, workspace_id: WorkspaceId, every: ExportPeriod, form: UsageExportFormat
    ) -> ExportSchedule:
        """Schedule exports. Each one runs when its period is over."""
        schedule = ExportSchedule(
            workspace_id=workspace_id, every=every, format=form, changed_by=actor.name, changed_at=utc_now()
        )
        with self._outbox.unit() as unit:
            self._store.put_schedule(unit.connection, schedule)
            after = {"every": every.value, "format": form.value}
            target = Target("export_schedule", workspace_id)
            self._audit.record(unit.connection, actor, "export_schedule.changed", target, after=after)
        return schedule

    def delete_schedule(self, actor: Actor, workspace_id: WorkspaceId) -> None:
        """Stop scheduled exports; raises ``schedule_not_found``."""
        with self._outbox.unit() as unit:
            if not self._store.delete_schedule(unit.connection, workspace_id):
                raise schedule_not_found()
            target = Target("export_schedule", workspace_id)
            self._audit.record(unit.connection, actor, "export_schedule.deleted", target)


class ExportWriter:
    """Writes exports. Each message writes the next files of one export."""

    def __init__(
        self,
        outbox: Outbox,
        store: ExportStore,
        queue: ExportQueue,
        archive: EventArchive,
        files: ExportFiles,
        convert: Convert,
        *,
        events_a_file: int = EVENTS_A_FILE,
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._queue = queue
        self._archive = archive
        self._files = files
        self._convert = convert
        self._events_a_file = events_a_file

    def resume(self, request: ExportRequest) -> bool:
        """Write the next files of an export. Return False if its row may not be committed yet; the caller must retry.

        Concurrent calls are safe: if two write the same file, only one of them advances the export.
        """
        export = self._store.get(request.export_id)
        if export is None:
            return now_seconds() - request.sent_at > COMMITTED_SECONDS
        began = monotonic()
        while export.state is ExportState.QUEUED:
            if monotonic() - began > STEP_SECONDS:
                self._queue.send(continuation(export.id))
                break
            following = self._write_one(export)
            if following is None:
                break
            export = following
        return True

    def fail(self, request: ExportRequest) -> None:
        """Mark an export as failed after several failed attempts."""
        export = self._store.get(request.export_id)
        if export is not None and self._store.advance(export, {"state": ExportState.FAILED, "finished_at": utc_now()}):
            log.count("ExportsFailed")
            logger.error("an export failed for good", extra={"export": export.id})

    def make_scheduled(self, now: datetime | None = None) -> int:
        """Start exports whose period is over, each once, and restart unfinished ones; return the number of both."""
        now = now or utc_now()
        begun = 0
        for schedule in self._store.schedules():
            since, until = last_period(schedule.every, now)
            export = Export(
                id=ExportId(new_id("exp")),
                workspace_id=schedule.workspace_id,
                period=period_name(schedule.every, since),
                since=since,
                until=until,
                format=schedule.format,
                created_by=SCHEDULER,
                created_at=now,
            )
            with self._outbox.unit() as unit:
                if self._store.add(unit.connection, export):
                    self._queue.send(continuation(export.id))
                    begun += 1
        stale = self._store.stale(now - timedelta(hours=1))
        for export_id in stale:
            self._queue.send(continuation(ExportId(export_id)))
        return begun + len(stale)

    def purge(self) -> int:
        """Delete the rows of exports whose files have expired; return their number."""
        total = 0
        while purged := self._store.purge(utc_now() - KEPT):
            total += purged
        return total

    def _write_one(self, export: Export) -> Export | None:
        """Write the next file; return the updated export, or None if it is done or another process advanced it."""
        after = (export.after_at, export.after_id) if export.after_at and export.after_id else None
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "events.csv")
            written, last = self._write_csv(export, after, source)
            files = export.files
            # An export without events still gets one file.
            if written or not files:
                name = f"part-{len(files) + 1:05d}.{export.format}"
                ready = source
                if export.format is UsageExportFormat.PARQUET:
                    ready = Path(folder, name)
                    self._convert(source, EVENT_COLUMNS, ready)
                self._files.put(export, name, ready)
                files = (*files, ExportFile(name=name, events=written, bytes=ready.stat().st_size))
        values = {"files": [{"name": file.name, "events": file.events, "bytes": file.bytes} for file in files]}
        if last:
            values |= {"after_at": last[0], "after_id": last[1]}
        if written < self._events_a_file:
            values |= {"state": ExportState.DONE, "finished_at": utc_now()}
        return self._store.get(export.id) if self._store.advance(export, values) else None

    def _write_csv(
        self, export: Export, after: tuple[datetime, str] | None, target: Path
    ) -> tuple[int, tuple[datetime, str] | None]:
        """Write at most one file of events that follow ``after``; return their number, and the key of the last."""
        selection = Selection(since=export.since, until=export.until)
        plain = export.format is UsageExportFormat.PARQUET
        written = 0
        with target.open("wb") as out:
            if not plain:
                out.write(as_csv(EVENT_COLUMNS, []))
            while written < self._events_a_file:
                limit = min(EVENTS_A_READ, self._events_a_file - written)
                events: Sequence[StoredEvent] = self._archive.oldest(export.workspace_id, selection, after, limit)
                out.write(as_csv(EVENT_COLUMNS, map(event_row, events), first=False, plain=plain))
                written += len(events)
                if events:
                    after = events[-1].at, events[-1].event.id
                if len(events) < limit:
                    break
        return written, after


def continuation(export_id: ExportId) -> ExportRequest:
    """Return the message that continues an export."""
    return ExportRequest(export_id=export_id, sent_at=now_seconds())


def period_name(every: ExportPeriod, since: datetime) -> str:
    """Return the name of a period that begins at a time, such as ``daily-2026-11-24``."""
    return f"{every}-{since:%Y-%m-%d}"


def last_period(every: ExportPeriod, now: datetime) -> tuple[datetime, datetime]:
    """Return the last complete period in UTC: a day, a week from Monday, or a month."""
    today = day_start(now)
    match every:
        case ExportPeriod.DAILY:
            return today - timedelta(days=1), today
        case ExportPeriod.WEEKLY:
            monday = today - timedelta(days=today.weekday())
            return monday - timedelta(days=7), monday
        case ExportPeriod.MONTHLY:
            first = today.replace(day=1)
            return (first - timedelta(days=1)).replace(day=1), first
