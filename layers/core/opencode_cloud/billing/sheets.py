"""Write statements as CSV (RFC 4180): a row for each line, with the amount in micro-cents and in exact dollars."""

from __future__ import annotations

import csv
import io

from opencode_cloud.billing.models.documents import Statement
from opencode_cloud.kit import money
from opencode_cloud.kit.spreadsheets import harmless

COLUMNS = ("period", "section", "name", "key", "count", "amount_microcents", "amount_usd")


def as_csv(statement: Statement) -> bytes:
    """Return a statement: balances, sums by kind, usage by model and key, late usage, and movements."""
    rows: list[tuple[str, str, str, int | str, int]] = [("balance", "opening", "", "", statement.opening)]
    rows += [("kind", each.kind, "", each.transactions, each.amount) for each in statement.totals]
    rows += [("usage", each.model, each.key_id, each.calls, each.amount) for each in statement.usage]
    rows += [("late usage", each.period, "", "", each.amount) for each in statement.late_usage]
    rows += [("movement", each.kind, each.id, "", each.amount) for each in statement.movements]
    rows += [("balance", "closing", "", "", statement.closing), ("balance", "frozen", "", "", statement.frozen)]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for *cells, amount in rows:
        texts = [harmless(each) if isinstance(each, str) else each for each in cells]
        writer.writerow((statement.period, *texts, amount, money.exact(amount, money.PLACES)))
    return out.getvalue().encode()
