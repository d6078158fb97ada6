"""Gathers the records of a table's stream for a function, as AWS does, for the window of its event source mapping.

MiniStack 1.5.33 ignores `MaximumBatchingWindowInSeconds`, and calls the function again as soon as the last call ends. A
share with 50 updates a second has 40 calls a second then, where AWS makes one in two seconds.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

Json = Mapping[str, Any]
SOURCE = ":dynamodb:"
"""The part by which the ARN of a table's stream differs from those of other sources."""


class Window(NamedTuple):
    """A time in which a mapping gathers records."""

    position: int
    """Position in the stream of the first record."""
    end: float
    """End of the window, by the clock of :class:`Windows`, in seconds."""


class Windows:
    """The windows of all mappings."""

    def __init__(self, clock: Callable[[], float], wake_in: Callable[[float], None]) -> None:
        """`wake_in` is called when a window begins, with its length in seconds."""
        self._clock = clock
        self._wake_in = wake_in
        self._windows: dict[str, Window] = {}

    def is_due(self, mapping: Json, position: int, end: int) -> bool:
        """Tell whether a mapping's function takes its records now.

        `position` is that of the next record for the function, `end` that behind the last record of the stream. The
        window begins with the first record. It ends early when the records fill a batch.
        """
        seconds = mapping.get("MaximumBatchingWindowInSeconds") or 0
        if not seconds or end <= position or end - position >= mapping["BatchSize"]:
            return True
        window = self._windows.get(mapping["UUID"])
        if window is None or window.position != position:
            window = self._windows[mapping["UUID"]] = Window(position, self._clock() + seconds)
            self._wake_in(seconds)
        return self._clock() >= window.end


def install() -> None:
    """Hook into MiniStack's poller of streams."""
    service: Any = import_module("ministack.services.lambda_svc")
    dynamodb: Any = import_module("ministack.services.dynamodb")
    responses: Any = import_module("ministack.core.responses")
    every, poll = service._iter_all_esms, service._poll_dynamodb_streams

    def wake_in(seconds: float) -> None:
        timer = threading.Timer(seconds, service._esm_wake.set)
        timer.daemon = True
        timer.start()

    windows = Windows(time.monotonic, wake_in)

    def is_due(account: str, region: str, mapping: Json) -> bool:
        source = mapping.get("EventSourceArn", "")
        if SOURCE not in source:
            return True
        with responses.request_scope(account, region):
            stream = service._dynamodb_stream_table_from_arn_spec(service.parse_arn(source))
            position = service._dynamodb_stream_positions.get(mapping["UUID"])
            if stream is None or position is None:
                return True
            return windows.is_due(mapping, position, dynamodb.stream_end_position(stream[0]))

    def due() -> Iterator[tuple[str, str, Json]]:
        return (each for each in every() if is_due(*each))

    def poll_due() -> bool:
        # Only the poller's thread lists mappings, so the pollers of other sources still find all of them.
        service._iter_all_esms = due
        try:
            return poll()
        finally:
            service._iter_all_esms = every

    service._poll_dynamodb_streams = poll_due
