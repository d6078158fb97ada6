"""Read events in MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, Select, func, or_, select

from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.usage import Tokens, UsageEvent
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.usage import usage_events, usage_metadata
from opencode_cloud.schema.workspaces import members, service_accounts
from opencode_cloud.usage.models import Selection, StoredEvent
from opencode_cloud.usage.store.sources import selected

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Database

_EVENTS = (
    select(
        usage_events,
        usage_metadata.c.metadata,
        func.coalesce(accounts.c.email, "").label("member_name"),
        func.coalesce(service_accounts.c.name, "").label("service_account_name"),
        func.coalesce(keys.c.name, "").label("key_name"),
    )
    .outerjoin(usage_metadata, usage_metadata.c.event_id == usage_events.c.id)
    .outerjoin(members, members.c.id == usage_events.c.member_id)
    .outerjoin(accounts, accounts.c.id == members.c.account_id)
    .outerjoin(service_accounts, service_accounts.c.id == usage_events.c.service_account_id)
    .outerjoin(keys, keys.c.id == usage_events.c.key_id)
)


class EventArchive:
    """Reads of the table ``usage_events``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, workspace_id: WorkspaceId, call_id: CallId) -> StoredEvent | None:
        """Return an event of a workspace; None when it does not exist."""
        events = self._read(_EVENTS.where(usage_events.c.id == call_id, usage_events.c.workspace_id == workspace_id))
        return events[0] if events else None

    def newest(
        self, workspace_id: WorkspaceId, selection: Selection, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[StoredEvent]:
        """Return selected events that follow the key ``after`` (time, id), the newest first."""
        query, column = self._selected(workspace_id, selection), usage_events.c
        if after is not None:
            # The first condition is redundant, but lets MySQL use the index.
            query = query.where(column.at <= after[0], or_(column.at < after[0], column.id < after[1]))
        return self._read(query.order_by(column.at.desc(), column.id.desc()).limit(limit))

    def oldest(
        self, workspace_id: WorkspaceId, selection: Selection, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[StoredEvent]:
        """Return selected events that follow the key ``after`` (time, id), the oldest first."""
        query, column = self._selected(workspace_id, selection), usage_events.c
        if after is not None:
            query = query.where(column.at >= after[0], or_(column.at > after[0], column.id > after[1]))
        return self._read(query.order_by(column.at, column.id).limit(limit))

    def _selected(self, workspace_id: WorkspaceId, selection: Selection) -> Select[Any]:
        column = usage_events.c
        query = _EVENTS.where(
            column.workspace_id == workspace_id, column.at >= selection.since, column.at < selection.until
        )
        return query.where(*selected(usage_events, selection))

    def _read(self, query: Select[Any]) -> Sequence[StoredEvent]:
        with self._database.transaction() as connection:
            return [_stored(row) for row in connection.execute(query).mappings()]


def _stored(row: RowMapping) -> StoredEvent:
    event = UsageEvent(
        id=row["id"],
        at=round(row["at"].replace(tzinfo=UTC).timestamp() * 1000),
        workspace_id=row["workspace_id"],
        member_id=row["member_id"],
        account_id=row["account_id"],
        service_account_id=row["service_account_id"],
        key_id=row["key_id"],
        model=row["model"],
        requested_model=row["requested_model"],
        fallback=row["fallback"],
        upstream=row["upstream"],
        upstream_model=row["upstream_model"],
        format=row["format"],
        streamed=row["streamed"],
        byok=row["byok"],
        tokens=Tokens(
            input=row["input_tokens"],
            output=row["output_tokens"],
            reasoning=row["reasoning_tokens"],
            cache_read=row["cache_read_tokens"],
            cache_write=row["cache_write_tokens"],
            cache_write_1h=row["cache_1h_tokens"],
        ),
        estimated=row["estimated"],
        cost=row["cost"],
        charged=row["charged"],
        reserved=row["reserved"],
        price=row["price"],
        catalogue=row["catalogue"],
        first_byte_ms=row["first_byte_ms"],
        total_ms=row["total_ms"],
        attempts=row["attempts"],
        outcome=row["outcome"],
        status=row["status"],
        error=row["error"],
        project=row["project"],
        agent=row["agent"],
        session=row["session"],
        request=row["request"],
        correlation_id=row["correlation"],
        metadata=row["metadata"] or {},
    )
    return StoredEvent(
        event=event,
        at=row["at"],
        member_name=row["member_name"],
        service_account_name=row["service_account_name"],
        key_name=row["key_name"],
    )
