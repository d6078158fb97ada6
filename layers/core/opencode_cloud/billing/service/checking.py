"""Compare the books every night: with themselves, with usage, and with the limits of the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.billing.models.findings import BookFinding
from opencode_cloud.billing.models.transactions import LedgerTransaction
from opencode_cloud.billing.service import chain
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.log import count, logger

if TYPE_CHECKING:
    from opencode_cloud.billing.store.checks import BookChecks
    from opencode_cloud.billing.store.reading import LedgerReader

DAYS = 2
"""Complete days that are compared with usage each night."""
SETTLED = timedelta(hours=1)
"""After this time a call is settled, and its event is charged."""
AT_ONCE = 500


class BookReconciliation:
    """Runs the checks, and reports each finding to the log, the metric ``LedgerDrift`` and the database."""

    def __init__(self, checks: BookChecks, reader: LedgerReader) -> None:
        self._checks = checks
        self._reader = reader

    def run(self) -> int:
        """Compare everything; return the number of findings."""
        findings = self.findings()
        for finding in findings:
            logger.error("the books are wrong", extra={"finding": msgspec.structs.asdict(finding)})
            self._checks.record(finding)
        count("LedgerDrift", len(findings))
        return len(findings)

    def findings(self, days: int = DAYS) -> list[BookFinding]:
        """Return every promise that does not hold; compare ``days`` days with usage."""
        return [*self._checks.run(days, utc_now() - SETTLED), *self.verify()]

    def verify(self, after: int = 0, prev: bytes = chain.GENESIS.hash) -> Iterator[BookFinding]:
        """Yield breaks of the hash chain after a transaction, and rows that differ from the hashed bytes."""
        while page := self._reader.after(after, AT_ONCE):
            for each in page:
                if each.seq != after + 1 or each.prev != prev:
                    yield _broken(each, "order", str(after + 1), str(each.seq))
                if chain.link(each.prev, each.body) != each.hash:
                    yield _broken(each, "hash", each.hash.hex(), chain.link(each.prev, each.body).hex())
                stored, hashed = _facts(each), json.loads(each.body)
                for name in stored:
                    if stored[name] != hashed.get(name):
                        yield _broken(each, name, str(hashed.get(name)), str(stored[name]))
                after, prev = each.seq, each.hash


def _facts(transaction: LedgerTransaction) -> dict[str, object]:
    """Return the columns of a transaction in the form of its body."""
    return {
        "seq": transaction.seq,
        "id": transaction.id,
        "kind": transaction.kind,
        "key": transaction.idempotency_key,
        "cause": [transaction.cause_kind, transaction.cause_id],
        "corrects": transaction.corrects,
        "workspace": transaction.workspace_id,
        "event_at": chain.microseconds(transaction.event_at),
        "booked_at": chain.microseconds(transaction.booked_at),
        "period": transaction.period,
        "entries": [
            [each.account_id, each.layer, each.amount, each.account_version, each.balance_after]
            for each in transaction.entries
        ],
    }


def _broken(transaction: LedgerTransaction, what: str, expected: str, found: str) -> BookFinding:
    return BookFinding(
        check="chain",
        workspace_id=transaction.workspace_id,
        subject=f"{transaction.seq} {what}",
        expected={what: expected[:200]},
        found={what: found[:200]},
    )
