"""A part of a long table as an answer in CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.kit import http_events
from opencode_cloud.kit.pages import encode_cursor
from opencode_cloud.usage.sheets import as_csv

TAG = "Usage"
MOST_ROWS = 5000
"""Of one sheet: sums are about 1 MB, events at most about 2.5 MB, of the 6 MB that a function may answer."""
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
    """Answer with up to ``MOST_ROWS`` of what was ``found`` as CSV.

    Where there is more, the header ``Link`` leads to the part after it, which begins after the ``place`` of the last.
    """
    shown = found[:MOST_ROWS]
    headers = {**http_events.PRIVATE, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    if len(found) > MOST_ROWS:
        asked: dict[str, str] = event.get("queryStringParameters") or {}
        following = urlencode(asked | {"cursor": encode_cursor(place(shown[-1]))})
        headers["Link"] = f'<{event["rawPath"]}?{following}>; rel="next"'
    body = as_csv(columns, map(row, shown), first=cursor is None)
    return http_events.reply(event, body, "text/csv; charset=utf-8", headers=headers)
