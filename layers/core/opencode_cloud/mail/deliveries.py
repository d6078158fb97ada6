"""Process messages of the mail queue: mails to send, and SES's events about sent mails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.ids import MailId
from opencode_cloud.kit.batches import PartialBatch
from opencode_cloud.mail.models import MAIL_TAG, MailState, SentEvent
from opencode_cloud.mail.service.sending import pause_seconds

if TYPE_CHECKING:
    from opencode_cloud.kit.batches import QueueMessage
    from opencode_cloud.mail.service import Sending
    from opencode_cloud.mail.store import MailQueue


class MailDeliveries:
    """Processes batches of the mail queue: our ``{"mail": id}``, and events of SES in the form of its topic."""

    def __init__(self, sending: Sending, queue: MailQueue) -> None:
        self._sending = sending
        self._queue = queue
        self._batch = PartialBatch(dict[str, Any], self._take, on_redelivery=self._put_off)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Process a batch; return the messages that SQS must deliver again."""
        return self._batch.handle(event)

    def _put_off(self, message: QueueMessage) -> None:
        """Delay the next delivery of a mail that cannot be sent yet. The pause grows with each attempt."""
        self._queue.put_off(message.receipt_handle, pause_seconds(message.receives))

    def _take(self, message: Mapping[str, Any]) -> None:
        if "eventType" not in message:
            self._sending.send(message["mail"])
            return
        event = read_event(message)
        if event is not None:
            self._sending.note(event)


def read_event(event: Mapping[str, Any]) -> SentEvent | None:
    """Decode an event of SES (its "event data"); return None for irrelevant types and for mails that are not ours."""
    tags = event["mail"].get("tags", {}).get(MAIL_TAG)
    if not tags:
        return None
    mail_id = MailId(tags[0])
    match event["eventType"]:
        case "Delivery":
            return SentEvent(mail_id, MailState.DELIVERED)
        case "Bounce":
            bounce = event["bounce"]
            return SentEvent(
                mail_id, MailState.BOUNCED, _bounce_reason(bounce), suppress=bounce["bounceType"] == "Permanent"
            )
        case "Complaint":
            return SentEvent(mail_id, MailState.COMPLAINED, "The recipient marked the mail as spam.", suppress=True)
        case "Reject" | "Rendering Failure":
            return SentEvent(mail_id, MailState.FAILED, f"The mail service refused it ({event['eventType']}).")
        case _:
            return None


def _bounce_reason(bounce: Mapping[str, Any]) -> str:
    recipients: list[dict[str, str]] = bounce.get("bouncedRecipients") or [{}]
    diagnostic = recipients[0].get("diagnosticCode", "")
    return f"{bounce['bounceType']} bounce ({bounce.get('bounceSubType', '')}). {diagnostic}".strip()
