"""The queue of mails to be sent."""

from __future__ import annotations

import json
from collections.abc import Sequence

from opencode_cloud.kit import aws


class MailQueue:
    """The queue that ``functions/mail`` takes mails from; what comes twice is sent once."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, mail_ids: Sequence[str]) -> None:
        """Have mails sent, by their ids."""
        for mail_id in mail_ids:
            aws.sqs().send_message(QueueUrl=self._url, MessageBody=json.dumps({"mail": mail_id}))

    def put_off(self, receipt: str, seconds: int) -> None:
        """Have a message come again after ``seconds``."""
        aws.sqs().change_message_visibility(QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=seconds)
