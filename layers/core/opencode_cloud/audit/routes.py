"""Routes of the audit trail: pages of entries, and exports."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from opencode_cloud.access.service import Access
from opencode_cloud.audit.models import AuditFilter, AuditRecord
from opencode_cloud.audit.service import AuditReading
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events
from opencode_cloud.kit.http_app import response_of
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, encode_cursor, page_of
from opencode_cloud.kit.spreadsheets import harmless
from opencode_cloud.kit.timestamps import to_utc

LARGEST_EXPORT = 5000
"""Entries in one answer. They take about 3 MB at most; a function's answer may have 6 MB."""

_COLUMNS = (
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "credential",
    "key_id",
    "action",
    "target_kind",
    "target_id",
    "target_name",
    "before",
    "after",
    "address",
    "correlation_id",
)


class AuditActor(BaseModel):
    """The actor of an entry."""

    kind: str = Field(description="account, member, service_account, operator or system")
    id: str
    name: str
    credential: str = Field(description="session, token, key or operator")
    key: str | None = Field(description="Id of the key that authenticated the request.")


class AuditTarget(BaseModel):
    """The object of an entry's action."""

    kind: str
    id: str
    name: str


class AuditEntry(BaseModel):
    """One entry of the trail."""

    id: str
    at: datetime
    actor: AuditActor
    action: str = Field(description="Noun and past participle, such as `member.removed`.")
    target: AuditTarget
    before: dict[str, Any] | None = Field(description="Values before the change; never a secret.")
    after: dict[str, Any] | None = Field(description="Values after the change; never a secret.")
    address: str = Field(description="IP address.")
    correlation_id: str = Field(description="The request's id in our logs.")


class AuditExportFormat(StrEnum):
    """Format of an export."""

    CSV = "csv"
    JSON = "json"


WorkspaceParameter = Annotated[WorkspaceId, Path(description="Id of the workspace.")]
ActorFilter = Annotated[str, Query(alias="actor", max_length=254, description="Id or name of the actor.")]
ActionFilter = Annotated[str, Query(alias="action", max_length=64, description="An action, or a prefix as `member.*`.")]
TargetFilter = Annotated[str, Query(alias="target", max_length=255, description="Id or name of the target.")]
Moment = Annotated[AwareDatetime, AfterValidator(to_utc)]
Since = Annotated[Moment | None, Query(alias="from", description="The start of the period, inclusive.")]
Until = Annotated[Moment | None, Query(alias="to", description="The end of the period, exclusive.")]
TAG = "Audit"


class AuditRoutes:
    """The routes of the audit trail."""

    def __init__(self, reading: AuditReading, access: Access) -> None:
        self._reading = reading
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        self._event: Callable[[], dict[str, Any]] = lambda: app.current_event.raw_event
        gate = Gate(app, self._access)
        gate.add(f"GET {WORKSPACE}/audit", self.list_entries, Permission.AUDIT_READ, "List the audit trail", TAG)
        gate.add(f"GET {WORKSPACE}/audit/export", self.export, Permission.AUDIT_READ, "Export the audit trail", TAG)

    def list_entries(
        self,
        workspace_id: WorkspaceParameter,
        actor: ActorFilter = "",
        action: ActionFilter = "",
        target: TargetFilter = "",
        since: Since = None,
        until: Until = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Page[AuditEntry]:
        """List who changed what, the newest first. Entries cannot be changed. A setting bounds their retention."""
        wanted = _filter(actor, action, target, since, until)
        rows = self._reading.find(workspace_id, wanted, decode_cursor(cursor, tuple[datetime, str]), limit + 1)
        return page_of(rows, limit, _key, show)

    def export(
        self,
        workspace_id: WorkspaceParameter,
        form: Annotated[
            AuditExportFormat, Query(alias="format", description="Format of the file.")
        ] = AuditExportFormat.CSV,
        actor: ActorFilter = "",
        action: ActionFilter = "",
        target: TargetFilter = "",
        since: Since = None,
        until: Until = None,
        cursor: Cursor = None,
    ) -> Response[str]:
        """Get up to 5000 entries as a file. The header `Link` (rel=next) is the address of the next part.

        CSV parts can be concatenated, since only the first has the line of column names.
        """
        event = self._event()
        wanted = _filter(actor, action, target, since, until)
        rows = self._reading.find(workspace_id, wanted, decode_cursor(cursor, tuple[datetime, str]), LARGEST_EXPORT + 1)
        shown, more = rows[:LARGEST_EXPORT], len(rows) > LARGEST_EXPORT
        headers = {**http_events.PRIVATE, "Content-Disposition": f'attachment; filename="audit-{workspace_id}.{form}"'}
        if more:
            parameters: dict[str, str] = event.get("queryStringParameters") or {}
            query = parameters | {"cursor": encode_cursor(_key(shown[-1]))}
            headers["Link"] = f'<{event["rawPath"]}?{urlencode(query)}>; rel="next"'
        if form is AuditExportFormat.CSV:
            body, kind = as_csv(shown, first=cursor is None), "text/csv; charset=utf-8"
        else:
            body, kind = msgspec.json.encode([show(row).model_dump(mode="json") for row in shown]), "application/json"
        return response_of(http_events.reply(event, body, kind, headers=headers))


def _filter(actor: str, action: str, target: str, since: datetime | None, until: datetime | None) -> AuditFilter:
    return AuditFilter(actor=actor, action=action, target=target, since=since, until=until)


def _key(entry: AuditRecord) -> tuple[datetime, str]:
    return entry.at, entry.id


def show(entry: AuditRecord) -> AuditEntry:
    """Return an entry as the API answers it."""
    return AuditEntry(
        id=entry.id,
        at=entry.at.replace(tzinfo=UTC),
        actor=AuditActor(
            kind=entry.actor_kind,
            id=entry.actor_id,
            name=entry.actor_name,
            credential=entry.credential,
            key=entry.key_id,
        ),
        action=entry.action,
        target=AuditTarget(kind=entry.target_kind, id=entry.target_id, name=entry.target_name),
        before=entry.before,
        after=entry.after,
        address=entry.address,
        correlation_id=entry.correlation_id,
    )


def as_csv(entries: Sequence[AuditRecord], *, first: bool) -> bytes:
    """Write entries as CSV (RFC 4180), with the column names if they are the ``first``."""
    out = io.StringIO()
    writer = csv.writer(out)
    if first:
        writer.writerow(_COLUMNS)
    for entry in entries:
        writer.writerow([_cell(getattr(entry, column)) for column in _COLUMNS])
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    # Other people choose the names: a spreadsheet must not interpret one as a formula.
    return harmless(text)
