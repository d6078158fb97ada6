"""Store exports and schedules in MySQL, send their messages to a queue, and store their files in S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import RowMapping, func, select
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.contracts.ids import ExportId, WorkspaceId
from opencode_cloud.kit import aws
from opencode_cloud.schema.usage import usage_export_schedules, usage_exports
from opencode_cloud.usage.models import (
    Export,
    ExportFile,
    ExportRequest,
    ExportSchedule,
    ExportState,
    UsageExportFormat,
)

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database

ADDRESS_SECONDS = 300
"""The validity of a file's address, in seconds."""
COMMIT_SECONDS = 1
PURGED_AT_ONCE = 500


class ExportStore:
    """The tables ``usage_exports`` and ``usage_export_schedules``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, connection: Connection, export: Export) -> bool:
        """Insert an export; False when one with the same period and format exists."""
        row = msgspec.to_builtins(export, builtin_types=(datetime,))
        statement = insert(usage_exports).values(row).on_duplicate_key_update(id=usage_exports.c.id)
        connection.execute(statement)
        ours = select(usage_exports.c.id).where(usage_exports.c.id == export.id)
        return connection.execute(ours).first() is not None

    def unfinished(self, connection: Connection, workspace_id: WorkspaceId) -> int:
        """Return the number of unfinished exports of a workspace."""
        column = usage_exports.c
        query = select(func.count()).where(column.workspace_id == workspace_id, column.state == ExportState.QUEUED)
        return connection.execute(query).scalar_one()

    def get(self, export_id: ExportId, workspace_id: WorkspaceId | None = None) -> Export | None:
        """Return an export, of ``workspace_id`` if given; None when it does not exist."""
        query = select(usage_exports).where(usage_exports.c.id == export_id)
        if workspace_id is not None:
            query = query.where(usage_exports.c.workspace_id == workspace_id)
        with self._database.transaction() as connection:
            row = connection.execute(query).mappings().first()
        return _export(row) if row else None

    def of_workspace(self, workspace_id: WorkspaceId, after: str | None, limit: int) -> Sequence[Export]:
        """Return exports of a workspace that follow the id ``after``, the newest first."""
        query = select(usage_exports).where(usage_exports.c.workspace_id == workspace_id)
        if after is not None:
            query = query.where(usage_exports.c.id < after)
        with self._database.transaction() as connection:
            rows = connection.execute(query.order_by(usage_exports.c.id.desc()).limit(limit)).mappings()
            return [_export(row) for row in rows]

    def has_period(self, workspace_id: WorkspaceId, period: str, form: UsageExportFormat) -> bool:
        """Tell whether a scheduled export of a period and format exists."""
        column = usage_exports.c
        query = select(column.id).where(
            column.workspace_id == workspace_id, column.period == period, column.format == form
        )
        with self._database.transaction() as connection:
            return connection.execute(query).first() is not None

    def advance(self, export: Export, values: Mapping[str, Any]) -> bool:
        """Set columns of an export; False when another process has advanced it since ``export`` was read."""
        column = usage_exports.c
        same_place = column.after_id.is_(None) if export.after_id is None else column.after_id == export.after_id
        query = usage_exports.update().where(column.id == export.id, column.state == ExportState.QUEUED, same_place)
        with self._database.transaction() as connection:
            return connection.execute(query.values(dict(values))).rowcount == 1

    def stale(self, before: datetime) -> Sequence[str]:
        """Return unfinished exports that were created before a time."""
        column = usage_exports.c
        query = select(column.id).where(column.state == ExportState.QUEUED, column.created_at < before)
        with self._database.transaction() as connection:
            return connection.execute(query).scalars().all()

    def purge(self, before: datetime) -> int:
        """Delete one batch of exports that were created before a time; return their number."""
        column = usage_exports.c
        with self._database.transaction() as connection:
            ids = connection.execute(select(column.id).where(column.created_at < before).limit(PURGED_AT_ONCE))
            export_ids = ids.scalars().all()
            if export_ids:
                connection.execute(usage_exports.delete().where(column.id.in_(export_ids)))
        return len(export_ids)

    def schedule(self, workspace_id: WorkspaceId) -> ExportSchedule | None:
        """Return the schedule of a workspace; None when it has none."""
        query = select(usage_export_schedules).where(usage_export_schedules.c.workspace_id == workspace_id)
        with self._database.transaction() as connection:
            row = connection.execute(query).mappings().first()
        return _schedule(row) if row else None

    def schedules(self) -> Sequence[ExportSchedule]:
        """Return all schedules."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(usage_export_schedules)).mappings()
            return [_schedule(row) for row in rows]

    def put_schedule(self, connection: Connection, schedule: ExportSchedule) -> None:
        """Insert or replace the schedule of a workspace."""
        row = msgspec.to_builtins(schedule, builtin_types=(datetime,))
        statement = insert(usage_export_schedules).values(row)
        changes: dict[str, Any] = {name: statement.inserted[name] for name in row if name != "workspace_id"}
        connection.execute(statement.on_duplicate_key_update(**changes))

    def delete_schedule(self, connection: Connection, workspace_id: WorkspaceId) -> bool:
        """Delete the schedule of a workspace; False when it had none."""
        query = usage_export_schedules.delete().where(usage_export_schedules.c.workspace_id == workspace_id)
        return connection.execute(query).rowcount == 1


class ExportQueue:
    """Sends messages of exports that ``functions/ledger`` starts or continues."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, request: ExportRequest) -> None:
        """Send a message, delayed by a second so that the export's row is committed before it arrives."""
        aws.sqs().send_message(self._url, msgspec.json.encode(request).decode(), delay_seconds=COMMIT_SECONDS)


class ExportFiles:
    """The files of exports in their bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put(self, export: Export, name: str, content: Path) -> None:
        """Upload a file, in parts if it is large."""
        aws.s3_transfers().upload_file(str(content), self._bucket, export.folder() + name)

    def addresses(self, export: Export) -> Iterator[tuple[ExportFile, str]]:
        """Return the files, each with an address that is valid for :data:`ADDRESS_SECONDS`."""
        for file in export.files:
            yield file, aws.s3().address(self._bucket, export.folder() + file.name, ADDRESS_SECONDS)


def _export(row: RowMapping) -> Export:
    return msgspec.convert({name: row[name] for name in Export.__struct_fields__}, Export)


def _schedule(row: RowMapping) -> ExportSchedule:
    return msgspec.convert({name: row[name] for name in ExportSchedule.__struct_fields__}, ExportSchedule)
