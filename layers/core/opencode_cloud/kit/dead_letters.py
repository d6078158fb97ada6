"""The state of queues and of their dead-letter queues, and the replay of failed messages."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

import msgspec

from opencode_cloud.kit import aws
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.parallel import pool

REPLAY_SECONDS = 15
"""The time of one replay. A function's answer must not take longer than its client waits."""
HIDDEN_SECONDS = 60
"""A message that is received and not deleted comes back after this time."""
_WAITING, _HIDDEN = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
_DELAYED, _REDRIVE = "ApproximateNumberOfMessagesDelayed", "RedrivePolicy"


class QueueState(msgspec.Struct, frozen=True):
    """The approximate numbers of messages of a queue."""

    name: str
    waiting: int
    """Those that a consumer can receive now, or later because they are delayed."""
    in_work: int
    failed: int
    """Those in the dead-letter queue."""
    replayable: bool


class _Redrive(msgspec.Struct):
    dead_letter_arn: str = msgspec.field(name="deadLetterTargetArn")


class DeadLetters:
    """Queues by name, each with the dead-letter queue that its redrive policy names."""

    def __init__(self, queues: Mapping[str, str], *, kept: Collection[str] = ()) -> None:
        """``queues`` are URLs by name. Failed messages of ``kept`` queues are counted, and cannot be replayed."""
        self._queues = {name: url for name, url in queues.items() if url}
        self._kept = frozenset(kept)

    def states(self) -> list[QueueState]:
        """Return the state of each queue."""
        reading = [pool().submit(self._state, name) for name in self._queues]
        return [each.result() for each in reading]

    def check(self, name: str) -> None:
        """Raise ``queue_not_found`` (404) for a queue whose messages cannot be replayed."""
        if name not in self._queues or name in self._kept:
            raise NotFound("queue_not_found", "There is no queue of this name whose messages can be replayed.")

    def replay(self, name: str) -> int:
        """Send failed messages to their queue again, and return their number. It ends after 15 seconds.

        A message is deleted after it was sent, so a failure in between sends it twice; every consumer takes a message
        that comes twice. Raises the error of :meth:`check`.
        """
        self.check(name)
        url, sqs = self._queues[name], aws.sqs()
        failed = _failed_url(url, sqs.attributes(url, _REDRIVE))
        sent, end = 0, time.monotonic() + REPLAY_SECONDS
        while failed and time.monotonic() < end:
            messages = sqs.receive(failed, hidden_seconds=HIDDEN_SECONDS)
            if not messages:
                break
            for receipt, body in messages:
                sqs.send_message(url, body)
                sqs.delete(failed, receipt)
                sent += 1
        return sent

    def _state(self, name: str) -> QueueState:
        url, sqs = self._queues[name], aws.sqs()
        numbers = sqs.attributes(url, _WAITING, _HIDDEN, _DELAYED, _REDRIVE)
        failed = _failed_url(url, numbers)
        lost = sqs.attributes(failed, _WAITING, _HIDDEN) if failed else {}
        return QueueState(
            name,
            waiting=_sum(numbers, _WAITING, _DELAYED),
            in_work=_sum(numbers, _HIDDEN),
            failed=_sum(lost, _WAITING, _HIDDEN),
            replayable=bool(failed) and name not in self._kept,
        )


def _failed_url(url: str, attributes: Mapping[str, str]) -> str:
    """Return the URL of a queue's dead-letter queue, which is in the same account and region; empty without one."""
    if not attributes.get(_REDRIVE):
        return ""
    name = msgspec.json.decode(attributes[_REDRIVE], type=_Redrive).dead_letter_arn.rpartition(":")[2]
    return f"{url.rpartition('/')[0]}/{name}"


def _sum(attributes: Mapping[str, str], *names: str) -> int:
    return sum(int(attributes.get(name, "0")) for name in names)
