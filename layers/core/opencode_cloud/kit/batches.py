"""Process batches of queues and streams: a failed record is delivered again, without other records.

Lambda deletes the records that its answer does not name ("Reporting batch item failures"). Powertools' BatchProcessor
isolates records and writes that answer. This module adds rules: decoding is part of the attempt, a message is given up
after a number of receives, and a record may be delivered again without being an error.
"""

# Powertools' processor takes records as untyped dictionaries.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from opencode_cloud.kit.errors import Redeliver
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.parallel import parallel_map

Payload = TypeVar("Payload")
Answer = dict[str, Any]


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
        on_redelivery: Callable[[SQSRecord], object] | None = None,
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
        return _partially(EventType.SQS, event["Records"], self._take, parallel=self._parallel)

    def _take(self, record: SQSRecord) -> None:
        try:
            payload = self._decoder.decode(record.body)
        except msgspec.DecodeError:
            logger.exception("a message cannot be read", extra={"message_id": record.message_id})
            raise
        try:
            self._process(payload)
        except Exception as error:
            self._note(record, error)
            if self._is_exhausted(record, error):
                if self._on_exhausted is not None:
                    self._on_exhausted(payload)
                return
            if isinstance(error, Redeliver) and self._on_redelivery is not None:
                self._on_redelivery(record)
            raise

    def _is_exhausted(self, record: SQSRecord, error: Exception) -> bool:
        if self._max_receives is None or not isinstance(error, self._exhausted_by):
            return False
        return _receives(record) >= self._max_receives

    def _note(self, record: SQSRecord, error: Exception) -> None:
        fields = {"message_id": record.message_id, "receives": _receives(record)}
        if isinstance(error, Redeliver):
            logger.info("a message is to come again", extra={**fields, "reason": str(error)})
        else:
            logger.exception("a message failed", extra=fields)


@dataclass(frozen=True, slots=True)
class StreamRecord(Generic[Payload]):
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
        decode: Callable[[Mapping[str, Any]], Payload | None],
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

        def take(record: DynamoDBRecord) -> None:
            number: str = record.raw_event["dynamodb"]["SequenceNumber"]
            try:
                payload = self._decode(record.raw_event)
            except Exception:
                logger.exception("a record of a stream cannot be read", extra={"sequence_number": number})
                raise
            if payload is not None:
                changes.append(StreamRecord(payload, number))

        answer = _partially(EventType.DynamoDBStreams, event["Records"], take)
        failed = [{"itemIdentifier": change.sequence_number} for change in self._process(changes)]
        return {"batchItemFailures": [*answer["batchItemFailures"], *failed]}


class _Processor(BatchProcessor):
    """Powertools' processor, optionally parallel. It returns an answer even when every record failed."""

    def __init__(self, event_type: EventType, *, parallel: bool) -> None:
        super().__init__(event_type, raise_on_entire_batch_failure=False)
        self._parallel = parallel

    def process(self) -> list[tuple[Any, ...]]:
        return list(parallel_map(self._process_record, self.records)) if self._parallel else super().process()


def _partially(
    event_type: EventType, records: list[dict[str, Any]], handler: Callable[..., None], *, parallel: bool = False
) -> Answer:
    """Call ``handler`` with each record; return the records for which it raised."""
    processor = _Processor(event_type, parallel=parallel)

    def process(record: Any) -> None:  # Powertools passes the argument by this name
        handler(record)

    with processor(records, process):
        processor.process()
    return {"batchItemFailures": list(processor.response()["batchItemFailures"])}


def _receives(record: SQSRecord) -> int:
    """Return the number of deliveries of a message, including this one."""
    return int(record.raw_event.get("attributes", {}).get("ApproximateReceiveCount", "1"))
