"""The queue of mails to send."""

from __future__ import annotations

import json
from collections.abc import Sequence

from opencode_cloud.kit import aws


class MailQueue:
    """The queue from which ``functions/mail`` takes mails. A mail that is queued twice is sent once."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, mail_ids: Sequence[str]) -> None:
        """Queue mails by their ids."""
        for mail_id in mail_ids:
            aws.sqs().send_message(self._url, json.dumps({"mail": mail_id}))

    def put_off(self, receipt: str, seconds: int) -> None:
        """Make SQS deliver a message again after ``seconds``."""
        aws.sqs().change_visibility(self._url, receipt, seconds)
