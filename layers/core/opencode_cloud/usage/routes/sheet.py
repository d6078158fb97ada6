"""A part of a long table as an answer in CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.kit import http
from opencode_cloud.usage.sheets import as_csv

TAG = "Usage"


def sheet(
    event: http.Event,
    name: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    cursor: str | None,
    following: str | None,
) -> Response[str]:
    """Answer with rows as CSV. The header ``Link`` leads to the part after it, whose cursor is ``following``."""
    headers = {**http.PRIVATE, "Content-Disposition": f'attachment; filename="{name}.csv"'}
    if following:
        asked: dict[str, str] = event.get("queryStringParameters") or {}
        headers["Link"] = f'<{event["rawPath"]}?{urlencode(asked | {"cursor": following})}>; rel="next"'
    body = as_csv(columns, rows, first=cursor is None)
    return http.reply(event, body, "text/csv; charset=utf-8", headers=headers)
