"""`/api/v1/workspaces/{workspace}/usage/events`: single model calls."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.usage.models import StoredEvent
from opencode_cloud.usage.routes.queries import Filters
from opencode_cloud.usage.routes.sheet import MOST_ROWS, TAG, sheet
from opencode_cloud.usage.routes.views import Call, show_call
from opencode_cloud.usage.sheets import EVENT_COLUMNS, event_row

if TYPE_CHECKING:
    from opencode_cloud.usage.service import UsageReader


class EventRoutes:
    """Routes of events."""

    def __init__(self, reader: UsageReader, gate: Gate) -> None:
        self._reader = reader
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, base, own = self._gate.add, f"{WORKSPACE}/usage", Permission.USAGE_OWN
        add(f"GET {base}/events", self.list, own, "List model calls", TAG)
        add(f"GET {base}/events.csv", self.list_sheet, own, "List model calls, as CSV", TAG)
        add(f"GET {base}/events/<call_id>", self.get, own, "Read a model call", TAG)

    def list(
        self, workspace_id: WorkspaceId, asked: Filters, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[Call]]:
        """List model calls, the newest first: with `usage:read` the workspace's, otherwise your own.

        A call appears within about a minute of its end. Prompts and answers are never kept.
        """
        after = decode_cursor(cursor, tuple[datetime, str])
        events = self._reader.events(self._gate.actor, workspace_id, asked.selection(), after, limit + 1)
        return document(page_of(events, limit, _position, show_call))

    def list_sheet(self, workspace_id: WorkspaceId, asked: Filters, cursor: Cursor = None) -> Response[str]:
        """Get model calls as CSV, the newest first. Make an export for more than a few thousand calls.

        After 5000 lines the header `Link` (rel=next) has the address of the next part, which can be appended directly.
        """
        after = decode_cursor(cursor, tuple[datetime, str])
        events = self._reader.events(self._gate.actor, workspace_id, asked.selection(), after, MOST_ROWS + 1)
        return sheet(self._gate.event, f"calls-{workspace_id}", EVENT_COLUMNS, events, event_row, _position, cursor)

    def get(self, workspace_id: WorkspaceId, call_id: CallId) -> Response[Call]:
        """Read the usage and cost of one model call."""
        return document(show_call(self._reader.event(self._gate.actor, workspace_id, call_id)))


def _position(stored: StoredEvent) -> tuple[datetime, str]:
    return stored.at, stored.event.id
