"""`/api/v1/workspaces/{workspace}/usage/totals` and `series`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.usage.models import Dimension, Interval, UsageLine
from opencode_cloud.usage.routes.queries import Filters, UsageQuery
from opencode_cloud.usage.routes.sheet import MOST_ROWS, TAG, sheet
from opencode_cloud.usage.routes.views import UsagePoint, UsageTotals, show_group, show_point, show_sums
from opencode_cloud.usage.service.reader import whole
from opencode_cloud.usage.sheets import LINE_COLUMNS, line_row

if TYPE_CHECKING:
    from opencode_cloud.usage.service import UsageReader

MOST_POINTS = 1000

GroupBy = Annotated[Dimension | None, Query(alias="group_by", description="The attribute to group by.")]
Cost = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
SeriesInterval = Annotated[Interval, Query(alias="interval", description="The length of each point, in UTC.")]
Points = Annotated[int, Query(ge=1, le=MOST_POINTS, description="The maximum number of points in a page.")]


class FigureRoutes:
    """Routes of totals and series."""

    def __init__(self, reader: UsageReader, gate: Gate) -> None:
        self._reader = reader
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, base = self._gate.add, f"{WORKSPACE}/usage"
        own = Permission.USAGE_OWN  # included in `usage:read`; the service checks which of the two applies
        add(f"GET {base}/totals", self.totals, own, "Add usage up", TAG)
        add(f"GET {base}/totals.csv", self.totals_sheet, own, "Add usage up, as CSV", TAG)
        add(f"GET {base}/series", self.series, own, "Follow usage over time", TAG)
        add(f"GET {base}/series.csv", self.series_sheet, own, "Follow usage over time, as CSV", TAG)

    def totals(
        self,
        workspace_id: WorkspaceId,
        asked: Filters,
        group_by: GroupBy = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[UsageTotals]:
        """Read the total usage: with `usage:read` the workspace's, otherwise your own.

        With `group_by` also by model, member and so on, the most expensive groups first. The period is widened to whole
        hours, and for sessions to whole days; the answer contains the widened `from` and `to`.
        """
        selection, actor = asked.selection(), self._gate.actor
        total = self._reader.total(actor, workspace_id, selection)
        lines = self._groups(workspace_id, asked, group_by, limit + 1, cursor)
        names = self._reader.names(group_by, lines)
        page = page_of(lines, limit, _rank, lambda line: show_group(line, names))
        shown = whole(selection, None, group_by)
        return document(
            UsageTotals(
                since=shown.since,
                until=shown.until,
                total=show_sums(total),
                data=page.data,
                next_cursor=page.next_cursor,
            )
        )

    def totals_sheet(
        self, workspace_id: WorkspaceId, asked: Filters, group_by: GroupBy = None, cursor: Cursor = None
    ) -> Response[str]:
        """Get totals by group as CSV. Without `group_by`, get one line for all calls.

        After 5000 lines the header `Link` (rel=next) is the address of what follows, which can be appended as it is.
        """
        if group_by is None:
            total = self._reader.total(self._gate.actor, workspace_id, asked.selection())
            lines = [UsageLine(start=None, group=None, sums=total)]
        else:
            lines = self._groups(workspace_id, asked, group_by, MOST_ROWS + 1, cursor)
        return self._sheet(f"usage-{workspace_id}", group_by, lines, _rank, cursor)

    def series(
        self,
        workspace_id: WorkspaceId,
        asked: Filters,
        interval: SeriesInterval = Interval.DAY,
        group_by: GroupBy = None,
        limit: Points = MOST_POINTS,
        cursor: Cursor = None,
    ) -> Response[Page[UsagePoint]]:
        """Read usage by hour, day or month (UTC), and by group with `group_by`; the earliest first.

        Without `usage:read` it is your own usage. Intervals without calls are left out.
        """
        lines = self._points(workspace_id, asked, interval, group_by, limit + 1, cursor)
        names = self._reader.names(group_by, lines)
        return document(page_of(lines, limit, _position, lambda line: show_point(line, group_by, names)))

    def series_sheet(
        self,
        workspace_id: WorkspaceId,
        asked: Filters,
        interval: SeriesInterval = Interval.DAY,
        group_by: GroupBy = None,
        cursor: Cursor = None,
    ) -> Response[str]:
        """Get a series as CSV.

        After 5000 lines the header `Link` (rel=next) is the address of what follows, which can be appended as it is.
        """
        lines = self._points(workspace_id, asked, interval, group_by, MOST_ROWS + 1, cursor)
        return self._sheet(f"usage-{workspace_id}-{interval}", group_by, lines, _position, cursor)

    def _groups(
        self, workspace_id: WorkspaceId, query: UsageQuery, by: Dimension | None, limit: int, cursor: str | None
    ) -> list[UsageLine]:
        if by is None:
            return []
        after = decode_cursor(cursor, tuple[Cost, str])
        return list(self._reader.groups(self._gate.actor, workspace_id, query.selection(), by, after, limit))

    def _points(
        self,
        workspace_id: WorkspaceId,
        query: UsageQuery,
        interval: Interval,
        by: Dimension | None,
        limit: int,
        cursor: str | None,
    ) -> list[UsageLine]:
        after = decode_cursor(cursor, tuple[datetime, str])
        return list(self._reader.series(self._gate.actor, workspace_id, query.selection(), interval, by, after, limit))

    def _sheet(
        self,
        name: str,
        by: Dimension | None,
        lines: Sequence[UsageLine],
        position: Callable[[UsageLine], tuple[Any, ...]],
        cursor: str | None,
    ) -> Response[str]:
        names = self._reader.names(by, lines)
        return sheet(self._gate.event, name, LINE_COLUMNS, lines, lambda line: line_row(line, names), position, cursor)


def _rank(line: UsageLine) -> tuple[int, str]:
    return line.sums.cost, line.group or ""


def _position(line: UsageLine) -> tuple[datetime, str]:
    if line.start is None:
        raise ValueError("a point of a series has a start")
    return line.start, line.group or ""
