"""Process batches of queues and streams: a failed record is delivered again, without other records.

Lambda deletes the records that its answer does not name ("Reporting batch item failures"). Decoding is part of the
attempt, a message is given up after a number of receives, and a record may be delivered again without being an error.

Powertools' BatchProcessor would import its classes for every kind of event (docs/decisions/020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from opencode_cloud.kit.errors import Redeliver
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.parallel import parallel_map

Payload = TypeVar("Payload")
Answer = dict[str, Any]
Record = Mapping[str, Any]
"""A record of a batch, in Lambda's form."""


class QueueMessage(msgspec.Struct, frozen=True):
    """One delivery of a message of a queue."""

    message_id: str
    body: str
    receipt_handle: str
    receives: int
    """Number of deliveries, including this one."""

    @classmethod
    def of(cls, record: Record) -> QueueMessage:
        """Read a record of SQS."""
        receives = record.get("attributes", {}).get("ApproximateReceiveCount", "1")
        return cls(record["messageId"], record["body"], record["receiptHandle"], int(receives))


class PartialBatch(Generic[Payload]):
    """Processes each message of a queue separately."""

    def __init__(
        self,
        model: type[Payload],
        process: Callable[[Payload], object],
        *,
        max_receives: int | None = None,
        on_exhausted: Callable[[Payload], object] | None = None,
        exhausted_by: type[Exception] = Exception,
        on_redelivery: Callable[[QueueMessage], object] | None = None,
        parallel: bool = False,
    ) -> None:
        """Decode each body as JSON of ``model`` and ``process`` it.

        A message that fails with ``exhausted_by`` at its receive number ``max_receives`` is passed to ``on_exhausted``
        and is not delivered again. The queue's own limit applies to all others. ``on_redelivery`` gets each message for
        which ``process`` raised :class:`Redeliver`. With ``parallel``, messages are processed concurrently.
        """
        self._decoder = msgspec.json.Decoder(model)
        self._process = process
        self._max_receives = max_receives
        self._on_exhausted = on_exhausted
        self._exhausted_by = exhausted_by
        self._on_redelivery = on_redelivery
        self._parallel = parallel

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Process a batch; return the messages that SQS must deliver again."""
        return _partially(event["Records"], _message_id, self._take, parallel=self._parallel)

    def _take(self, record: Record) -> None:
        try:
            message = QueueMessage.of(record)
        except (KeyError, ValueError):
            logger.exception("a record of a queue cannot be read", extra={"message_id": _message_id(record)})
            raise
        try:
            self._attempt(message)
        except Exception as error:
            _note(message, error)
            raise

    def _attempt(self, message: QueueMessage) -> None:
        payload = self._decoder.decode(message.body)
        try:
            self._process(payload)
        except Exception as error:
            if self._is_exhausted(message, error):
                logger.exception("a message is given up", extra=_fields(message))
                if self._on_exhausted is not None:
                    self._on_exhausted(payload)
                return
            if isinstance(error, Redeliver) and self._on_redelivery is not None:
                self._on_redelivery(message)
            raise

    def _is_exhausted(self, message: QueueMessage, error: Exception) -> bool:
        if self._max_receives is None or not isinstance(error, self._exhausted_by):
            return False
        return message.receives >= self._max_receives


class StreamRecord(msgspec.Struct, Generic[Payload], frozen=True):
    """A decoded record of a table's stream."""

    payload: Payload
    sequence_number: str


class StreamBatch(Generic[Payload]):
    """Processes the changes of a table's stream: decodes each separately, and processes all decoded ones together.

    Lambda continues from the earliest record that the answer names, so all later records are delivered again.
    Processing must therefore be idempotent.
    """

    def __init__(
        self,
        decode: Callable[[Record], Payload | None],
        process: Callable[[Sequence[StreamRecord[Payload]]], Iterable[StreamRecord[Payload]]],
    ) -> None:
        """``decode`` gets a record in Lambda's form, and returns None for an irrelevant one.

        ``process`` returns the changes that failed.
        """
        self._decode = decode
        self._process = process

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Process a batch; return the failed records.

        Exceptions of ``process`` propagate. Lambda then delivers the whole batch again, and the error raises the alarm.
        """
        changes: list[StreamRecord[Payload]] = []

        def take(record: Record) -> None:
            number = _sequence_number(record)
            try:
                payload = self._decode(record)
            except Exception:
                logger.exception("a record of a stream cannot be read", extra={"sequence_number": number})
                raise
            if payload is not None:
                changes.append(StreamRecord(payload, number))

        answer = _partially(event["Records"], _sequence_number, take)
        failed = [{"itemIdentifier": change.sequence_number} for change in self._process(changes)]
        return {"batchItemFailures": [*answer["batchItemFailures"], *failed]}


def _partially(
    records: Sequence[Record],
    name_of: Callable[[Record], str],
    handler: Callable[[Record], None],
    *,
    parallel: bool = False,
) -> Answer:
    """Call ``handler`` with each record; return the names of those for which it raised. Handlers log their errors."""

    def attempt(record: Record) -> bool:
        try:
            handler(record)
        except Exception:  # noqa: BLE001 - any error means that the record must come again
            return False
        return True

    done = parallel_map(attempt, records) if parallel else [attempt(record) for record in records]
    failed = [name_of(record) for record, success in zip(records, done, strict=True) if not success]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


def _message_id(record: Record) -> str:
    return record["messageId"]


def _sequence_number(record: Record) -> str:
    return record["dynamodb"]["SequenceNumber"]


def _note(message: QueueMessage, error: Exception) -> None:
    if isinstance(error, Redeliver):
        logger.info("a message is to come again", extra={**_fields(message), "reason": str(error)})
    else:
        logger.exception("a message failed", extra=_fields(message))


def _fields(message: QueueMessage) -> dict[str, Any]:
    return {"message_id": message.message_id, "receives": message.receives}
