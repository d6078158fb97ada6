"""Answer with one page of a table in CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.kit import http_events
from opencode_cloud.kit.pagination import encode_cursor
from opencode_cloud.usage.sheets import as_csv

TAG = "Usage"
MOST_ROWS = 5000
"""The maximum rows of one page: about 1 MB of sums or 2.5 MB of events. A function can return at most 6 MB."""
Found = TypeVar("Found")


def sheet(
    event: http_events.Event,
    name: str,
    columns: Sequence[str],
    found: Sequence[Found],
    row: Callable[[Found], Sequence[Any]],
    place: Callable[[Found], tuple[Any, ...]],
    cursor: str | None,
) -> Response[str]:
    """Answer with the first ``MOST_ROWS`` of the ``found`` rows as CSV.

    If there are more, the header ``Link`` has the address of the next page, which begins after the last ``place``.
    """
    shown = found[:MOST_ROWS]
    headers = {**http_events.PRIVATE, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    if len(found) > MOST_ROWS:
        asked: dict[str, str] = event.get("queryStringParameters") or {}
        following = urlencode(asked | {"cursor": encode_cursor(place(shown[-1]))})
        headers["Link"] = f'<{event["rawPath"]}?{following}>; rel="next"'
    body = as_csv(columns, map(row, shown), first=cursor is None)
    return http_events.reply(event, body, "text/csv; charset=utf-8", headers=headers)
