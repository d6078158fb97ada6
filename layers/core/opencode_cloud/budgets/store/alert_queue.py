"""The queue of crossings that people must be notified of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from opencode_cloud.budgets.models.crossings import Crossing
from opencode_cloud.kit import aws


class AlertQueue:
    """Sends to the queue that ``functions/ledger`` consumes. Consumers deduplicate crossings by id."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, crossings: Sequence[Crossing]) -> None:
        """Send crossings."""
        for crossing in crossings:
            aws.sqs().send_message(QueueUrl=self._url, MessageBody=msgspec.json.encode(crossing).decode())
