"""The queue of deliveries to webhooks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from opencode_cloud.kit import aws


class WebhookQueue:
    """The queue from which the function ``ledger`` takes deliveries."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message_ids: Sequence[str]) -> None:
        """Queue deliveries."""
        for message_id in message_ids:
            aws.sqs().send_message(self._url, json.dumps({"webhook": message_id}))

    def put_off(self, receipt: str, seconds: int) -> None:
        """Make SQS deliver a message again after ``seconds``."""
        aws.sqs().change_visibility(self._url, receipt, seconds)
