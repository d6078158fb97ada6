"""Messages of the outbox in MySQL, and the wake-ups in the relay's queue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from opencode_cloud.kit import aws
from opencode_cloud.kit.sql import utc_now
from opencode_cloud.outbox.models import Message, Topic
from opencode_cloud.outbox.store.tables import outbox

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database

WAKE_AFTER_SECONDS = 1


class OutboxStore:
    """The table ``outbox`` and the queue ``relay``."""

    def __init__(self, database: Database, queue_url: str) -> None:
        self._database = database
        self._queue_url = queue_url

    def transaction(self) -> AbstractContextManager[Connection]:
        """Give a connection inside a transaction."""
        return self._database.transaction()

    def add(self, connection: Connection, transaction: str, messages: Sequence[tuple[Topic, str, Any]]) -> None:
        """Write messages in the transaction of ``connection``."""
        now = utc_now()
        rows = [
            {"transaction_id": transaction, "topic": topic, "subject": subject, "payload": payload, "created_at": now}
            for topic, subject, payload in messages
        ]
        connection.execute(outbox.insert(), rows)

    def wake(self, transaction: str) -> None:
        """Have ``functions/relay`` look for this transaction's messages in a second."""
        aws.sqs().send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps({"transaction": transaction}),
            DelaySeconds=WAKE_AFTER_SECONDS,
        )

    def of_transaction(self, transaction: str) -> list[Message]:
        """Return the messages of a transaction, in the order in which they were written."""
        query = select(outbox).where(outbox.c.transaction_id == transaction).order_by(outbox.c.id)
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return [Message(row.id, Topic(row.topic), row.subject, row.payload, row.relayed_at is not None) for row in rows]

    def mark_relayed(self, ids: Sequence[int]) -> None:
        """Note that messages were relayed."""
        with self._database.transaction() as connection:
            connection.execute(outbox.update().where(outbox.c.id.in_(ids)).values(relayed_at=utc_now()))
