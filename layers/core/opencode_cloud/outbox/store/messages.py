"""Messages of the outbox in MySQL, and the wake-ups in the relay's queue."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, select

from opencode_cloud.contracts.ids import TransactionId
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.kit import aws
from opencode_cloud.kit.sql import utc_now
from opencode_cloud.schema.outbox import outbox

if TYPE_CHECKING:
    from sqlalchemy import Row, Select

    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.outbox.service import WakeUp

# Most transactions have committed by then, so that few wake-ups must be sent again.
WAKE_AFTER_SECONDS = 1
# Tidying follows a batch of wake-ups, so these two bound the time that it adds.
OVERDUE_AT_ONCE = 100
DELETED_AT_ONCE = 500


class OutboxStore:
    """The table ``outbox`` and the queue ``relay``."""

    def __init__(self, database: Database, queue_url: str) -> None:
        self._database = database
        self._queue_url = queue_url

    def transaction(self) -> AbstractContextManager[Connection]:
        """Give a connection inside a transaction."""
        return self._database.transaction()

    def add(
        self, connection: Connection, transaction_id: TransactionId, messages: Sequence[tuple[Topic, str, Any]]
    ) -> None:
        """Write messages in the transaction of ``connection``."""
        now = utc_now()
        rows = [
            {
                "transaction_id": transaction_id,
                "topic": topic,
                "subject": subject,
                "payload": payload,
                "created_at": now,
            }
            for topic, subject, payload in messages
        ]
        connection.execute(outbox.insert(), rows)

    def wake(self, wake_up: WakeUp) -> None:
        """Queue a wake-up, which makes ``functions/relay`` look for the transaction's messages after a second."""
        aws.sqs().send_message(self._queue_url, msgspec.json.encode(wake_up).decode(), delay_seconds=WAKE_AFTER_SECONDS)

    def of_transaction(self, transaction_id: TransactionId) -> list[OutboxMessage]:
        """Return the messages of a transaction, in the order in which they were written."""
        return self._messages(select(outbox).where(outbox.c.transaction_id == transaction_id).order_by(outbox.c.id))

    def overdue(self, older_than_seconds: int) -> list[OutboxMessage]:
        """Return unrelayed messages that are older than a number of seconds, the oldest first."""
        before = utc_now() - timedelta(seconds=older_than_seconds)
        unrelayed = select(outbox).where(outbox.c.relayed_at.is_(None), outbox.c.created_at < before)
        return self._messages(unrelayed.order_by(outbox.c.id).limit(OVERDUE_AT_ONCE))

    def mark_relayed(self, ids: Sequence[int]) -> None:
        """Mark messages as relayed."""
        with self._database.transaction() as connection:
            connection.execute(outbox.update().where(outbox.c.id.in_(ids)).values(relayed_at=utc_now()))

    def delete_relayed(self, days: int) -> None:
        """Delete one batch of the messages that were relayed more than ``days`` ago."""
        old = (
            select(outbox.c.id)
            .where(outbox.c.relayed_at < utc_now() - timedelta(days=days))
            .order_by(outbox.c.relayed_at)
            .limit(DELETED_AT_ONCE)
        )
        with self._database.transaction() as connection:
            # Two statements: MySQL does not support LIMIT in a subquery of IN.
            if ids := connection.execute(old).scalars().all():
                connection.execute(delete(outbox).where(outbox.c.id.in_(ids)))

    def _messages(self, query: Select[Any]) -> list[OutboxMessage]:
        with self._database.transaction() as connection:
            return [_message(row) for row in connection.execute(query).all()]


def _message(row: Row[Any]) -> OutboxMessage:
    return OutboxMessage(row.id, Topic(row.topic), row.subject, row.payload, row.relayed_at is not None)
