"""Answer with one page of a table in CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.kit import http_events
from opencode_cloud.kit.http_app import response_of
from opencode_cloud.kit.pagination import encode_cursor
from opencode_cloud.usage.sheets import as_csv

TAG = "Usage"
MOST_ROWS = 5000
"""The maximum rows of one page: about 1 MB of sums or 2.5 MB of events. A function can return at most 6 MB."""
Row = TypeVar("Row")


def sheet(
    event: http_events.Event,
    name: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    cells: Callable[[Row], Sequence[Any]],
    position: Callable[[Row], tuple[Any, ...]],
    cursor: str | None,
) -> Response[str]:
    """Answer with the first ``MOST_ROWS`` of ``rows`` as CSV.

    If there are more, the header ``Link`` has the address of the next page, which begins after the last ``position``.
    """
    shown = rows[:MOST_ROWS]
    headers = {**http_events.PRIVATE, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    if len(rows) > MOST_ROWS:
        parameters: dict[str, str] = event.get("queryStringParameters") or {}
        following = urlencode(parameters | {"cursor": encode_cursor(position(shown[-1]))})
        headers["Link"] = f'<{event["rawPath"]}?{following}>; rel="next"'
    body = as_csv(columns, map(cells, shown), first=cursor is None)
    return response_of(http_events.reply(event, body, "text/csv; charset=utf-8", headers=headers))
