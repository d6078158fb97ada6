"""Commit a change together with its messages to the other planes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.ids import TransactionId
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import count, logger

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.outbox.store import OutboxStore

FATE_KNOWN_AFTER_SECONDS = 40
"""Age of a wake-up, after which an uncommitted transaction never commits: its function's time limit is 30 s."""
KEPT_DAYS = 7
"""Retention of relayed messages, for diagnosis."""

Relay = Callable[[Sequence[OutboxMessage]], None]
"""Sends messages to the other planes. It must accept duplicates, and an older message after a newer one."""


@dataclass
class UnitOfWork:
    """One transaction of the console plane. Rows and messages are committed together, or not at all."""

    connection: Connection
    transaction_id: TransactionId
    messages: list[tuple[Topic, str, Any]] = field(default_factory=list[tuple[Topic, str, Any]])

    def emit(self, topic: Topic, subject: str, payload: Any = None) -> None:
        """Add a message: project the row ``subject`` of ``topic`` as it is after this unit."""
        self.messages.append((topic, subject, payload))


@dataclass(frozen=True, slots=True)
class WakeUp:
    """A message of the relay's queue: relay the messages of a transaction."""

    transaction_id: TransactionId
    sent_at: int
    """Time just before the commit of the transaction, in seconds since the epoch."""


class Outbox:
    """Opens units and relays their messages within seconds.

    Before a unit commits, a wake-up for it goes into a delayed queue. After the commit, the messages are relayed at
    once. If the process is killed in between, the wake-up makes ``functions/relay`` relay them.
    """

    def __init__(self, store: OutboxStore, relay: Relay) -> None:
        self._store = store
        self._relay = relay

    @contextmanager
    def unit(self) -> Generator[UnitOfWork]:
        """Give a unit, commit it at the end of the block, and roll it back on an exception."""
        transaction = new_id("txn")
        with self._store.transaction() as connection:
            unit = UnitOfWork(connection, TransactionId(transaction))
            yield unit
            if unit.messages:
                self._store.add(connection, TransactionId(transaction), unit.messages)
                # Last, and before the commit: from here on the messages are relayed even if this process dies.
                self._store.wake(WakeUp(TransactionId(transaction), now_seconds()))
        if unit.messages:
            # After the commit, because the relay reads the committed state.
            self._relay_now(TransactionId(transaction))

    def _relay_now(self, transaction_id: TransactionId) -> None:
        try:
            self.relay(transaction_id)
        except Exception:  # noqa: BLE001 - the change is committed; the wake-up in the queue relays it
            logger.exception("relaying is left to the queue", extra={"transaction": transaction_id})

    def relay(self, transaction_id: TransactionId) -> bool:
        """Relay the pending messages of a transaction; return False when it is not, or not yet, committed."""
        messages = self._store.of_transaction(transaction_id)
        # The committing process or an earlier wake-up may have relayed some of them.
        self._relay_pending([message for message in messages if not message.relayed])
        return bool(messages)

    def wake_up(self, wake_up: WakeUp) -> None:
        """Relay the transaction of a wake-up.

        A wake-up that arrives before the commit is sent again, for at most ``FATE_KNOWN_AFTER_SECONDS``.
        """
        if self.relay(wake_up.transaction_id):
            return
        if now_seconds() - wake_up.sent_at < FATE_KNOWN_AFTER_SECONDS:
            self._store.wake(wake_up)
            return
        count("WakeUpWithoutTransaction")
        logger.info("the transaction was rolled back", extra={"transaction": wake_up.transaction_id})

    def tidy(self) -> None:
        """Relay a batch of overdue messages, and delete a batch of messages that were relayed long ago.

        Called after wake-ups, so that no schedule has to wake the database for it.
        """
        # Twice the time, so that no message is relayed here whose wake-up is still under way.
        overdue = self._store.overdue(older_than_seconds=2 * FATE_KNOWN_AFTER_SECONDS)
        if overdue:
            logger.warning("relaying overdue messages", extra={"messages": len(overdue)})
            self._relay_pending(overdue)
        self._store.delete_relayed(KEPT_DAYS)

    def _relay_pending(self, messages: Sequence[OutboxMessage]) -> None:
        if messages:
            self._relay(messages)
            # Mark after relaying: a crash in between relays again, which is harmless (docs/decisions/015).
            self._store.mark_relayed([message.id for message in messages])


def by_topic(relays: Mapping[Topic, Relay], otherwise: Relay) -> Relay:
    """Return a relay that passes messages to the relay of their topic, and all others to ``otherwise``."""

    def relay(messages: Sequence[OutboxMessage]) -> None:
        for topic, special in relays.items():
            if concerned := [message for message in messages if message.topic == topic]:
                special(concerned)
        if rest := [message for message in messages if message.topic not in relays]:
            otherwise(rest)

    return relay
