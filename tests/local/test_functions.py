"""Functions of the emulator: they have more time than on AWS, and a function that never ends is ended."""

import json
from collections.abc import Mapping
from typing import Any

from local.emulator.functions import WorkerPool
from local.patience import FACTOR
from tests.ministack import Emulator

SLOW = """
import time

def handler(event, context):
    time.sleep(event["seconds"])
    return context.get_remaining_time_in_millis()
"""


def test_a_function_has_a_multiple_of_its_time() -> None:
    leased: list[Mapping[str, Any]] = []

    def acquire(_name: str, config: Mapping[str, Any], _code: bytes, **_options: Any) -> tuple[object, str]:
        leased.append(config)
        return object(), "spawn"

    WorkerPool(acquire, lambda _worker: None, 4).acquire("one", {"Timeout": 29, "MemorySize": 512}, b"", qualifier="1")
    assert leased == [{"Timeout": FACTOR * 29, "MemorySize": 512}]


def test_a_function_that_takes_longer_than_on_aws_answers(emulator: Emulator) -> None:
    emulator.create_function("slow", SLOW)
    emulator.client("lambda").update_function_configuration(FunctionName="slow", Timeout=1)
    answer = emulator.client("lambda").invoke(FunctionName="slow", Payload=json.dumps({"seconds": 1.2}))
    assert "FunctionError" not in answer
    assert 0 < json.load(answer["Payload"]) < 3000


def test_a_function_that_takes_too_long_is_ended(emulator: Emulator) -> None:
    emulator.create_function("endless", SLOW)
    emulator.client("lambda").update_function_configuration(FunctionName="endless", Timeout=1)
    answer = emulator.client("lambda").invoke(FunctionName="endless", Payload=json.dumps({"seconds": 600}))
    assert "timed out" in json.load(answer["Payload"])["errorMessage"]
