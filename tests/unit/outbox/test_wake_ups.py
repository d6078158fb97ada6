"""Wake-ups of the relay: one message names the transaction, and comes after its commit."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from opencode_cloud.contracts.ids import TransactionId
from opencode_cloud.outbox.service import WakeUp
from opencode_cloud.outbox.store import messages
from opencode_cloud.outbox.store.messages import OutboxStore
from tests.unit.aws import Cloud


@pytest.mark.parametrize(("delay", "received"), [(0, 1), (600, 0)])
def test_a_wake_up_names_its_transaction_and_is_delayed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, delay: int, received: int
) -> None:
    monkeypatch.setattr(messages, "WAKE_AFTER_SECONDS", delay)
    no_database: Any = None  # this test needs only the queue
    url = cloud.queue("relay")
    wake_up = WakeUp(TransactionId("txn_1"), 1_800_000_000)
    OutboxStore(no_database, url).wake(wake_up)
    found = [msgspec.json.decode(message["Body"], type=WakeUp) for message in cloud.messages(url)]
    assert found == [wake_up] * received
