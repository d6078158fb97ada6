"""Write usage as CSV (RFC 4180). Amounts have two columns: integer micro-cents, and exact dollars."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from opencode_cloud.kit import money
from opencode_cloud.kit.spreadsheets import harmless
from opencode_cloud.kit.timestamps import rfc3339
from opencode_cloud.usage.models import StoredEvent, UsageLine

EVENT_COLUMNS = (
    *("id", "at", "member_id", "member", "service_account_id", "service_account", "key_id", "key"),
    *("model", "requested_model", "fallback", "upstream", "upstream_model", "format", "streamed", "byok"),
    *("input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("cache_write_1h_tokens", "estimated", "cost_microcents", "cost_usd", "charged_microcents", "charged_usd"),
    *("reserved_microcents", "price", "catalogue", "first_byte_ms", "total_ms", "attempts", "outcome", "status"),
    *("error", "project", "agent", "session", "request", "correlation_id", "metadata"),
)
"""Columns of events, in CSV and in Parquet."""
LINE_COLUMNS = (
    *("start", "group", "name", "calls", "input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "cache_write_1h_tokens", "cost_microcents", "cost_usd", "charged_microcents"),
    *("charged_usd", "estimated", "attempts"),
)
"""Columns of totals and series."""


def _dollars(micro_cents: int) -> str:
    return money.exact(micro_cents, money.PLACES)


def event_row(stored: StoredEvent) -> tuple[Any, ...]:
    """Return the cells of an event."""
    event, tokens = stored.event, stored.event.tokens
    return (
        *(
            event.id,
            stored.at,
            event.member_id,
            stored.member_name,
            event.service_account_id,
            stored.service_account_name,
        ),
        *(event.key_id, stored.key_name, event.model, event.requested_model, event.fallback),
        *(event.upstream, event.upstream_model, event.format),
        *(event.streamed, event.byok, tokens.input, tokens.output, tokens.reasoning, tokens.cache_read),
        *(tokens.cache_write, tokens.cache_write_1h, event.estimated, event.cost, _dollars(event.cost)),
        *(event.charged, _dollars(event.charged), event.reserved, event.price, event.catalogue, event.first_byte_ms),
        *(event.total_ms, event.attempts, str(event.outcome), event.status, event.error, event.project),
        *(event.agent, event.session, event.request, event.correlation_id),
        msgspec.json.encode(event.metadata).decode() if event.metadata else "",
    )


def line_row(line: UsageLine, names: Mapping[str, str]) -> tuple[Any, ...]:
    """Return the cells of the sums of a group or an interval."""
    sums, group = line.sums, line.group or ""
    return (
        *(line.start, group, names.get(group, group), sums.calls, sums.input_tokens, sums.output_tokens),
        *(sums.reasoning_tokens, sums.cache_read_tokens, sums.cache_write_tokens, sums.cache_1h_tokens, sums.cost),
        *(_dollars(sums.cost), sums.charged, _dollars(sums.charged), sums.estimated, sums.attempts),
    )


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, first: bool = True, plain: bool = False) -> bytes:
    """Format rows as CSV, with a header line if they are the ``first``.

    Texts that a spreadsheet would interpret as a formula are quoted, unless ``plain`` is set for a program.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    if first:
        writer.writerow(columns)
    writer.writerows([_cell(value, plain=plain) for value in row] for row in rows)
    return out.getvalue().encode()


def _cell(value: Any, *, plain: bool) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return rfc3339(value)
        case str() if not plain:
            return harmless(value)
        case _:
            return value
