"""The queue of reached thresholds that people must be notified of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from opencode_cloud.budgets.models.thresholds import ThresholdReached
from opencode_cloud.kit import aws


class AlertQueue:
    """Sends to the queue that ``functions/ledger`` consumes. Consumers deduplicate messages by id."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, events: Sequence[ThresholdReached]) -> None:
        """Send messages."""
        for event in events:
            aws.sqs().send_message(self._url, msgspec.json.encode(event).decode())
