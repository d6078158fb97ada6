"""Export the ledger for auditors (``clients/ledger_verifier``) and for accounting: CSV, and a journal of Beancount."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.kit import money

if TYPE_CHECKING:
    from opencode_cloud.billing.store.checkpoints import CheckpointStore
    from opencode_cloud.billing.store.reading import LedgerReader
    from opencode_cloud.kit.sql import Database

AT_ONCE = 100
"""Transactions of one page. With 500 events each, a page stays below the 6 MB of an invocation."""
COLUMNS = ("seq", "period", "booked_at", "event_at", "kind", "workspace", "cause", "corrects", "account", "layer")
_GROUPS: Mapping[AccountKind, str] = {
    AccountKind.BALANCE: "Liabilities",
    AccountKind.PROMO: "Liabilities",
    AccountKind.REVENUE: "Income",
    AccountKind.FEES_INCOME: "Income",
    AccountKind.PLAN_INCOME: "Income",
    AccountKind.STRIPE_FEES: "Expenses",
    AccountKind.STRIPE_CLEARING: "Assets",
    AccountKind.BANK: "Assets",
    AccountKind.TAX_PAYABLE: "Liabilities",
    AccountKind.REFUNDS: "Liabilities",
    AccountKind.DISPUTES: "Assets",
    AccountKind.SUSPENSE: "Liabilities",
    AccountKind.PROMOTIONS: "Expenses",
    AccountKind.WRITE_OFF: "Expenses",
    AccountKind.OPENING: "Equity",
}


class LedgerExport:
    """Returns the ledger in pages."""

    def __init__(self, database: Database, reader: LedgerReader, checkpoints: CheckpointStore) -> None:
        self._database = database
        self._reader = reader
        self._checkpoints = checkpoints

    def page(self, after: int) -> dict[str, Any]:
        """Return transactions after a number, the events that they charge, and the number to continue after.

        ``after`` of the answer is None on the last page, which also has all checkpoints.
        """
        found = self._reader.after(after, AT_ONCE)
        postings = self._reader.postings([each.id for each in found]) if found else []
        page: dict[str, Any] = {
            "transactions": [
                {"body": each.body.decode(), "prev": each.prev.hex(), "hash": each.hash.hex()} for each in found
            ],
            "postings": [list(each) for each in postings],
            "checkpoints": [],
            "after": found[-1].seq if len(found) == AT_ONCE else None,
        }
        if page["after"] is None:
            with self._database.transaction() as connection:
                page["checkpoints"] = [
                    {"text": each.text.decode(), "signature": b64encode(each.signature).decode(), "key": each.key_id}
                    for each in self._checkpoints.all(connection)
                ]
        return page


def write_export(
    folder: Path, page: Mapping[str, Any], following: Callable[[int], Mapping[str, Any]]
) -> dict[str, Any]:
    """Write an export that begins with ``page``; ``following`` returns the page after a number. Return the counts.

    The files are ``transactions.ndjson``, ``postings.ndjson`` and ``checkpoints.ndjson`` for the verifier, and
    ``entries.csv`` and ``journal.beancount`` for accounting.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bodies: list[str] = []
    counts = {"transactions": 0, "postings": 0, "checkpoints": 0}
    files = {name: (folder / f"{name}.ndjson").open("wb") for name in counts}
    try:
        while True:
            for name, file in files.items():
                file.writelines(msgspec.json.encode(row) + b"\n" for row in page[name])
                counts[name] += len(page[name])
            bodies += [row["body"] for row in page["transactions"]]
            if page["after"] is None:
                break
            page = following(page["after"])
    finally:
        for file in files.values():
            file.close()
    (folder / "entries.csv").write_text(as_csv(bodies))
    (folder / "journal.beancount").write_text(as_journal(bodies))
    return {"folder": str(folder), **counts}


def as_csv(bodies: Iterable[str]) -> str:
    """Return one line for each entry of exported transactions: amounts in micro-cents and in exact dollars."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow((*COLUMNS, "amount_microcents", "amount"))
    for body in map(msgspec.json.decode, bodies):
        cause, corrects = ":".join(body["cause"]), body["corrects"]
        for account, layer, amount, *_ in body["entries"]:
            facts = (body["seq"], body["period"], _time(body["booked_at"]), _time(body["event_at"]), body["kind"])
            place = (body["workspace"], cause, corrects, account, layer)
            writer.writerow((*facts, *place, amount, money.exact(amount, money.PLACES)))
    return out.getvalue()


def as_journal(bodies: Sequence[str]) -> str:
    """Return the posted entries of exported transactions as a journal of Beancount. Pending ones move no money."""
    lines: list[str] = []
    opened: dict[str, str] = {}
    for body in map(msgspec.json.decode, bodies):
        entries = [(account, amount) for account, layer, amount, *_ in body["entries"] if layer == "posted"]
        if not entries:
            continue
        day = _time(body["booked_at"])[:10]
        lines.append(f'{day} * "{body["kind"]}" "{_quotable(":".join(body["cause"]))}" ^{body["id"]}')
        for account, amount in entries:
            name, currency = _account(account)
            opened.setdefault(f"{name} {currency}", min(day, opened.get(f"{name} {currency}", day)))
            lines.append(f"  {name}  {money.exact(amount, money.PLACES)} {currency}")
        lines.append("")
    return "\n".join([*(f"{day} open {place}" for place, day in sorted(opened.items())), "", *lines])


def _account(account_id: str) -> tuple[str, str]:
    owner, kind, currency = account_id.split("/")
    # An account of credit with an end is named after its workspace and the end.
    workspace = owner.replace(".", "-")
    words = "".join(word.capitalize() for word in kind.split("_"))
    owner = "" if workspace == "house" else f":{workspace.replace('_', '-').capitalize()}"
    return f"{_GROUPS[AccountKind(kind)]}:{words}{owner}", currency


def _quotable(text: str) -> str:
    """Return a text for between the quotes of a journal, on one line. Operators choose keys of idempotency."""
    return " ".join(text.replace("\\", "\\\\").replace('"', '\\"').split())


def _time(microseconds: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).isoformat()
