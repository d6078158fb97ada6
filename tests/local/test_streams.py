"""A function gets the records of a stream in batches: those of a window of its mapping, as on AWS."""

import time
from pathlib import Path
from typing import Any

import pytest

from local.emulator.streams import Windows
from tests.ministack import Emulator
from tests.waiting import until

MAPPING = {"UUID": "one", "MaximumBatchingWindowInSeconds": 2, "BatchSize": 100}
COUNTING = """
def handler(event, _context):
    with open({file!r}, "a") as sizes:
        sizes.write(f"{{len(event['Records'])}}\\n")
"""


class Clock:
    """A clock that tests set, and the alarms that were asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.alarms: list[float] = []
        self.windows = Windows(lambda: self.now, self.alarms.append)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_records_are_due_when_the_window_of_the_first_one_ends(clock: Clock) -> None:
    assert not clock.windows.is_due(MAPPING, 5, 6)
    clock.now += 1.9
    assert not clock.windows.is_due(MAPPING, 5, 60)
    clock.now += 0.1
    assert clock.windows.is_due(MAPPING, 5, 61)


def test_the_poller_is_woken_once_for_each_window(clock: Clock) -> None:
    for end in (6, 7, 8):
        clock.windows.is_due(MAPPING, 5, end)
    assert clock.alarms == [2]


def test_records_behind_a_batch_wait_for_a_window_of_their_own(clock: Clock) -> None:
    clock.windows.is_due(MAPPING, 5, 6)
    clock.now += 2
    assert clock.windows.is_due(MAPPING, 5, 8)
    assert not clock.windows.is_due(MAPPING, 8, 9)


def test_a_full_batch_is_due_at_once(clock: Clock) -> None:
    assert not clock.windows.is_due(MAPPING, 5, 104)
    assert clock.windows.is_due(MAPPING, 5, 105)


def test_a_batch_that_failed_does_not_wait_for_a_second_window(clock: Clock) -> None:
    clock.windows.is_due(MAPPING, 5, 6)
    clock.now += 2
    assert clock.windows.is_due(MAPPING, 5, 6)
    clock.now += 1
    assert clock.windows.is_due(MAPPING, 5, 7)


def test_mappings_have_windows_of_their_own(clock: Clock) -> None:
    clock.windows.is_due(MAPPING, 5, 6)
    clock.now += 1
    assert not clock.windows.is_due({**MAPPING, "UUID": "two"}, 5, 6)
    clock.now += 1
    assert clock.windows.is_due(MAPPING, 5, 6)
    assert not clock.windows.is_due({**MAPPING, "UUID": "two"}, 5, 6)


@pytest.mark.parametrize("mapping", [{**MAPPING, "MaximumBatchingWindowInSeconds": 0}, {"UUID": "one", "BatchSize": 9}])
def test_records_are_due_at_once_without_a_window(clock: Clock, mapping: dict[str, Any]) -> None:
    assert clock.windows.is_due(mapping, 5, 6)
    assert clock.alarms == []


def test_the_emulator_calls_a_function_once_for_a_window(emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "sizes"
    function = emulator.create_function("counting", COUNTING.format(file=str(file)))
    table = emulator.client("dynamodb").create_table(
        TableName="streamed",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    emulator.client("lambda").create_event_source_mapping(
        EventSourceArn=table["LatestStreamArn"],
        FunctionName=function,
        StartingPosition="TRIM_HORIZON",
        BatchSize=1000,
        MaximumBatchingWindowInSeconds=1,
    )
    put(emulator, 0)
    until(file.exists)

    began = time.monotonic()
    for number in range(1, 51):
        put(emulator, number)
        time.sleep(0.02)
    took = time.monotonic() - began

    until(lambda: sum(sizes(file)) == 51)
    # The first batch is that of the warm-up. A call for each turn of the poller would be dozens.
    assert len(sizes(file)) - 1 <= took + 2


def put(emulator: Emulator, number: int) -> None:
    emulator.client("dynamodb").put_item(TableName="streamed", Item={"pk": {"S": str(number)}})


def sizes(file: Path) -> list[int]:
    """Return the sizes of the batches that the function was called with."""
    return [int(line) for line in file.read_text().splitlines()]
