"""Sign the end of the chain once a day, so that a cut tail or a rewritten chain is noticed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from opencode_cloud.billing.models.checkpoints import Checkpoint
from opencode_cloud.billing.models.transactions import LedgerHead
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.log import count, logger
from opencode_cloud.kit.timestamps import rfc3339

if TYPE_CHECKING:
    from opencode_cloud.billing.store.checkpoints import CheckpointStore
    from opencode_cloud.billing.store.ledger import LedgerStore
    from opencode_cloud.billing.store.reading import LedgerReader
    from opencode_cloud.kit.sql import Database

FORMAT = "opencode-cloud-ledger/1"
Signer = Callable[[bytes], bytes]
"""Signs a message with a key that never leaves KMS."""


class Checkpoints:
    """Makes checkpoints."""

    def __init__(
        self,
        database: Database,
        ledger: LedgerStore,
        reader: LedgerReader,
        store: CheckpointStore,
        sign: Signer,
        key_id: str,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._reader = reader
        self._store = store
        self._sign = sign
        self._key_id = key_id

    def make(self) -> int:
        """Sign the present end of the chain; return 1, or 0 if nothing was booked since the last checkpoint."""
        with self._database.transaction() as connection:
            last = self._store.last(connection)
            head = self._ledger.lock_head(connection)
        if head.seq == (last.seq if last else 0):
            return 0
        # Transactions up to the head never change, so the lock is not needed any more.
        text = self._text(head, last)
        checkpoint = Checkpoint(
            seq=head.seq, text=text, signature=self._sign(text), key_id=self._key_id, created_at=utc_now()
        )
        with self._database.transaction() as connection:
            self._store.add(connection, checkpoint)
        count("LedgerCheckpoints")
        # The log is a copy outside of the database.
        logger.info("checkpoint", extra={"text": text.decode(), "signature": checkpoint.signature.hex()})
        return 1

    def _text(self, head: LedgerHead, last: Checkpoint | None) -> bytes:
        sums: defaultdict[str, int] = defaultdict(int, sums_of(last.text) if last else {})
        for line in self._reader.trial_balance(head.seq, last.seq if last else 0):
            for layer, amount in (("posted", line.posted), ("pending", line.pending)):
                sums[f"{line.kind}/{line.currency}/{layer}"] += amount
        previous = hashlib.sha256(last.text).hexdigest() if last else "0" * 64
        lines = [
            FORMAT,
            f"seq {head.seq}",
            f"hash {head.hash.hex()}",
            f"previous {previous}",
            *(f"sum {place} {amount}" for place, amount in sorted(sums.items()) if amount),
            f"time {rfc3339(utc_now())}",
        ]
        return "".join(f"{line}\n" for line in lines).encode()


def sums_of(text: bytes) -> dict[str, int]:
    """Return the sums that a checkpoint states, by kind, currency and layer."""
    lines = [line.split(" ") for line in text.decode().splitlines()]
    return {line[1]: int(line[2]) for line in lines if line[0] == "sum"}
