"""Committing a change together with what it must tell the other planes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import logger
from opencode_cloud.outbox.models import Message, Topic

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.outbox.store import OutboxStore

Relay = Callable[[Sequence[Message]], None]
"""Tells the other planes; must bear to be told the same twice, and an older message after a newer one."""


@dataclass
class Unit:
    """One transaction of the console plane: rows and messages are committed together, or not at all."""

    connection: Connection
    transaction: str
    messages: list[tuple[Topic, str, Any]] = field(default_factory=list[tuple[Topic, str, Any]])

    def tell(self, topic: Topic, subject: str, payload: Any = None) -> None:
        """Promise to project the row ``subject`` of ``topic``. Call it after the row was changed, in this unit."""
        self.messages.append((topic, subject, payload))


class Outbox:
    """Opens units, and sees to it that what they promised is relayed within seconds.

    Before a unit commits, a wake-up for it goes into a delayed queue; after it, the messages are relayed at once. A
    process killed between the two leaves the wake-up, which makes ``functions/relay`` do it.
    """

    def __init__(self, store: OutboxStore, relay: Relay) -> None:
        self._store = store
        self._relay = relay

    @contextmanager
    def unit(self) -> Generator[Unit]:
        """Give a unit; it is committed at the end of the block, and rolled back on an exception."""
        transaction = new_id("txn")
        with self._store.transaction() as connection:
            unit = Unit(connection, transaction)
            yield unit
            if unit.messages:
                self._store.add(connection, transaction, unit.messages)
                self._store.wake(transaction)
        if unit.messages:
            self._relay_now(transaction)

    def _relay_now(self, transaction: str) -> None:
        try:
            self.relay(transaction)
        except Exception:  # noqa: BLE001 - the change is committed; the wake-up in the queue relays it
            logger.exception("relaying is left to the queue", extra={"transaction": transaction})

    def relay(self, transaction: str) -> bool:
        """Relay what is left of a transaction; False when it is not (or not yet) committed."""
        messages = self._store.of_transaction(transaction)
        pending = [message for message in messages if not message.relayed]
        if pending:
            self._relay(pending)
            self._store.mark_relayed([message.id for message in pending])
        return bool(messages)
