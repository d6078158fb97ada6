"""Batches of queues and streams: a malformed record fails alone, for every consumer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Barrier
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import msgspec
import pytest

from opencode_cloud.audit.deliveries import AuditDeliveries
from opencode_cloud.audit.models import AuditRecord
from opencode_cloud.budgets.deliveries import AlertDeliveries
from opencode_cloud.budgets.models.thresholds import ThresholdReached
from opencode_cloud.budgets.stream import BudgetsKeeper
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, KnownBudget
from opencode_cloud.contracts.ids import BudgetId, CallId, ExportId, ShareId, TransactionId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.batches import PartialBatch, StreamBatch, StreamRecord
from opencode_cloud.kit.errors import Redeliver
from opencode_cloud.mail.deliveries import MailDeliveries
from opencode_cloud.outbox.deliveries import RelayQueue
from opencode_cloud.outbox.service import WakeUp
from opencode_cloud.schema.usage_events import to_row
from opencode_cloud.sharing.purges import Purges
from opencode_cloud.sharing.store import PurgeRequest
from opencode_cloud.sharing.stream import SharingStream
from opencode_cloud.usage.deliveries import ExportDeliveries
from opencode_cloud.usage.models import ExportRequest
from opencode_cloud.usage.stream import UsageStream
from tests.waiting import PATIENCE

Handle = Callable[[dict[str, Any]], dict[str, Any]]


class Order(msgspec.Struct, frozen=True):
    """A message of a queue."""

    name: str


class Consumer:
    """Processes orders; some fail."""

    def __init__(self, failures: dict[str, Exception] | None = None) -> None:
        self.failures = failures or {}
        self.done: list[str] = []
        self.given_up: list[str] = []

    def process(self, order: Order) -> None:
        if order.name in self.failures:
            raise self.failures[order.name]
        self.done.append(order.name)

    def give_up(self, order: Order) -> None:
        self.given_up.append(order.name)


def message(name: str, body: str | None = None, receives: int = 1) -> dict[str, Any]:
    return {
        "messageId": name,
        "receiptHandle": f"receipt-{name}",
        "body": msgspec.json.encode(Order(name)).decode() if body is None else body,
        "attributes": {"ApproximateReceiveCount": str(receives)},
    }


def change(number: str, image: dict[str, Any]) -> dict[str, Any]:
    return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": number, "NewImage": image}}


def failed(handle: Handle, *records: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in handle({"Records": list(records)})["batchItemFailures"]]


class TestQueues:
    def test_a_message_that_cannot_be_read_fails_alone(self) -> None:
        consumer = Consumer()
        batch = PartialBatch(Order, consumer.process)
        assert failed(batch.handle, message("a"), message("b", body="{"), message("c", body="{}"), message("d")) == [
            "b",
            "c",
        ]
        assert consumer.done == ["a", "d"]

    def test_a_record_without_its_members_is_logged_and_fails_alone(self, capsys: pytest.CaptureFixture[str]) -> None:
        consumer = Consumer()
        odd = message("a")
        del odd["receiptHandle"]
        assert failed(PartialBatch(Order, consumer.process).handle, odd, message("b")) == ["a"]
        assert consumer.done == ["b"]
        (logged,) = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
        assert (logged["message"], logged["message_id"]) == ("a record of a queue cannot be read", "a")

    def test_a_message_that_fails_comes_again_alone(self) -> None:
        consumer = Consumer({"a": RuntimeError("no")})
        assert failed(PartialBatch(Order, consumer.process).handle, message("a"), message("b")) == ["a"]
        assert consumer.done == ["b"]

    def test_a_batch_of_which_nothing_succeeds_is_answered_and_not_raised(self) -> None:
        consumer = Consumer({"a": RuntimeError("no")})
        assert failed(PartialBatch(Order, consumer.process).handle, message("a")) == ["a"]

    def test_failures_of_one_batch_are_forgotten_by_the_next(self) -> None:
        consumer = Consumer({"a": RuntimeError("no")})
        batch = PartialBatch(Order, consumer.process)
        assert failed(batch.handle, message("a")) == ["a"]
        assert failed(batch.handle, message("b")) == []

    @pytest.mark.parametrize(("receives", "comes_again"), [(1, ["a"]), (3, ["a"]), (4, []), (9, [])])
    def test_a_message_is_given_up_at_its_last_receive(self, receives: int, comes_again: list[str]) -> None:
        consumer = Consumer({"a": RuntimeError("no")})
        batch = PartialBatch(Order, consumer.process, max_receives=4, on_exhausted=consumer.give_up)
        assert failed(batch.handle, message("a", receives=receives)) == comes_again
        assert consumer.given_up == ([] if comes_again else ["a"])

    def test_only_the_named_error_gives_a_message_up(self) -> None:
        consumer = Consumer({"a": KeyError(), "b": RuntimeError()})
        batch = PartialBatch(
            Order, consumer.process, max_receives=2, on_exhausted=consumer.give_up, exhausted_by=KeyError
        )
        assert failed(batch.handle, message("a", receives=2), message("b", receives=2)) == ["b"]
        assert consumer.given_up == ["a"]

    def test_a_message_that_cannot_be_read_is_never_given_up(self) -> None:
        consumer = Consumer()
        batch = PartialBatch(Order, consumer.process, max_receives=1, on_exhausted=consumer.give_up)
        assert failed(batch.handle, message("a", body="{", receives=9)) == ["a"]

    def test_a_message_to_be_redelivered_is_handed_back_with_its_receipt(self) -> None:
        consumer = Consumer({"a": Redeliver("not yet"), "b": RuntimeError("no")})
        receipts: list[str] = []
        batch = PartialBatch(
            Order, consumer.process, on_redelivery=lambda record: receipts.append(record.receipt_handle)
        )
        assert failed(batch.handle, message("a"), message("b")) == ["a", "b"]
        assert receipts == ["receipt-a"]

    def test_an_error_while_a_message_is_given_up_is_logged_and_it_comes_again(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(_: Order) -> None:
            raise OSError("it cannot be given up")

        consumer = Consumer({"a": RuntimeError("no")})
        batch = PartialBatch(Order, consumer.process, max_receives=1, on_exhausted=refuse)
        assert failed(batch.handle, message("a")) == ["a"]
        logged = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
        assert [(record["message"], record["exception_name"]) for record in logged] == [
            ("a message is given up", "RuntimeError"),
            ("a message failed", "OSError"),
        ]

    def test_in_parallel_no_message_waits_for_another(self) -> None:
        together = Barrier(3, timeout=PATIENCE)
        batch = PartialBatch(Order, lambda _: together.wait(), parallel=True)
        assert failed(batch.handle, message("a"), message("b"), message("c")) == []


class TestStreams:
    def test_a_record_that_cannot_be_read_fails_alone(self) -> None:
        taken: list[str] = []

        def take(changes: Sequence[StreamRecord[str]]) -> tuple[()]:
            taken.extend(change.payload for change in changes)
            return ()

        batch = StreamBatch(lambda record: str(record["dynamodb"]["NewImage"]["name"]["S"]), take)
        assert failed(
            batch.handle, change("1", {"name": {"S": "a"}}), change("2", {}), change("3", {"name": {"S": "c"}})
        ) == ["2"]
        assert taken == ["a", "c"]

    def test_changes_that_fail_are_named_by_their_sequence_number(self) -> None:
        batch = StreamBatch(lambda record: record["dynamodb"]["SequenceNumber"], lambda changes: changes[1:])
        assert failed(batch.handle, change("1", {}), change("2", {})) == ["2"]

    def test_a_batch_that_fails_as_a_whole_is_raised(self) -> None:
        def fail(_changes: object) -> tuple[()]:
            raise RuntimeError("the database is away")

        with pytest.raises(RuntimeError, match="away"):
            StreamBatch(lambda _: 1, fail).handle({"Records": [change("1", {})]})


THRESHOLD_REACHED = ThresholdReached(
    id="threshold",
    workspace_id=WorkspaceId("wrk_1"),
    budget=KnownBudget(
        id=BudgetId("bud_1"), scope=BudgetScope.WORKSPACE, unit=BudgetUnit.COST, period=BudgetPeriod.DAY, limit=2
    ),
    threshold=50,
    used=1,
    refused=False,
    starts_at=0,
    resets_at=None,
    at=0,
)
ENTRY = AuditRecord(
    id="aud_1",
    workspace_id=None,
    at=datetime(2026, 11, 28),  # noqa: DTZ001 - as SQL keeps it
    actor_kind="person",
    actor_id="acc_1",
    actor_name="a@example.com",
    credential="session",
    key_id=None,
    action="key.create",
    target_kind="key",
    target_id="key_1",
    target_name="k",
    before=None,
    after=None,
    address="",
    correlation_id="",
)
QUEUES: dict[str, tuple[Callable[[Any], Handle], object, str]] = {
    "alerts": (lambda service: AlertDeliveries(service).handle, THRESHOLD_REACHED, "deliver"),
    "audit": (lambda service: AuditDeliveries(service).handle, ENTRY, "add_once"),
    "export": (
        lambda service: ExportDeliveries(service).handle,
        ExportRequest(export_id=ExportId("exp_1"), sent_at=0),
        "resume",
    ),
    "mail": (lambda service: MailDeliveries(service, MagicMock()).handle, {"mail": "mail_1"}, "send"),
    "purge": (lambda service: Purges(service).handle, PurgeRequest(share_id=ShareId("share")), "purge"),
    "relay": (
        lambda service: RelayQueue(service).handle,
        WakeUp(transaction_id=TransactionId("txn_1"), sent_at=0),
        "wake_up",
    ),
}


@pytest.mark.parametrize("name", QUEUES)
def test_of_every_queue_one_malformed_message_fails_alone(name: str) -> None:
    handle_of, payload, verb = QUEUES[name]
    service = MagicMock()
    good = msgspec.json.encode(payload).decode()
    records = [message("bad", body="not JSON"), message("good", body=good), message("list", body="[]")]
    assert failed(handle_of(service), *records) == ["bad", "list"]
    getattr(service, verb).assert_called_once()


STREAMS: dict[str, tuple[Callable[[Any], Handle], dict[str, Any], str]] = {
    "budgets": (
        lambda service: BudgetsKeeper(MagicMock(), service).follow,
        {"counters": {"L": [{"S": "budget#1"}]}},
        "check",
    ),
    "shares": (
        lambda service: SharingStream(service).handle,
        {"pk": {"S": "share"}, "last": {"N": "1"}, "total": {"N": "2"}},
        "follow",
    ),
    "usage": (
        lambda service: UsageStream(service).handle,
        to_row(UsageEvent(id=CallId("call_1"), at=1_764_000_000_000, workspace_id=WorkspaceId("wrk_1"))),
        "take",
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_of_every_stream_one_malformed_record_fails_alone(name: str) -> None:
    handle_of, image, verb = STREAMS[name]
    service = MagicMock()
    service.check = AsyncMock()
    service.take.return_value = 1
    malformed = {"counters": {"L": [{"N": "1"}]}, "last": {"S": "x"}, "event": {"S": "{"}}
    assert failed(handle_of(service), change("1", image), change("2", malformed), change("3", image)) == ["2"]
    getattr(service, verb).assert_called_once()
