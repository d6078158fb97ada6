"""Messages of the mail queue: mails to send, and what SES says became of those that were sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.kit.log import logger
from opencode_cloud.mail.models import MAIL_TAG, MailState, NotYet, SentEvent
from opencode_cloud.mail.service.sending import pause_seconds

if TYPE_CHECKING:
    from opencode_cloud.mail.service import Sending
    from opencode_cloud.mail.store import MailQueue


class MailDeliveries:
    """Takes batches of the mail queue: ``{"mail": id}`` of ours, and events of SES as its topic delivers them."""

    def __init__(self, sending: Sending, queue: MailQueue) -> None:
        self._sending = sending
        self._queue = queue

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Deal with a batch; answer which messages are to come again."""
        failures: list[dict[str, str]] = []
        for message in event["Records"]:
            try:
                self._take(message["body"])
            except NotYet:
                self._queue.put_off(
                    message["receiptHandle"], pause_seconds(int(message["attributes"]["ApproximateReceiveCount"]))
                )
                failures.append({"itemIdentifier": message["messageId"]})
            except Exception:  # noqa: BLE001 - one bad message must not fail the batch; it is logged and comes again
                logger.exception("message of the mail queue failed")
                failures.append({"itemIdentifier": message["messageId"]})
        return {"batchItemFailures": failures}

    def _take(self, body: str) -> None:
        message = msgspec.json.decode(body)
        if "eventType" not in message:
            self._sending.send(message["mail"])
            return
        event = read_event(message)
        if event is not None:
            self._sending.note(event)


def read_event(event: Mapping[str, Any]) -> SentEvent | None:
    """Read an event of SES (its "event data"); None for those that say nothing new, or are about mails of others."""
    tags = event["mail"].get("tags", {}).get(MAIL_TAG)
    if not tags:
        return None
    match event["eventType"]:
        case "Delivery":
            return SentEvent(tags[0], MailState.DELIVERED)
        case "Bounce":
            bounce = event["bounce"]
            return SentEvent(
                tags[0], MailState.BOUNCED, _bounce_reason(bounce), suppress=bounce["bounceType"] == "Permanent"
            )
        case "Complaint":
            return SentEvent(tags[0], MailState.COMPLAINED, "The recipient marked the mail as spam.", suppress=True)
        case "Reject" | "Rendering Failure":
            return SentEvent(tags[0], MailState.FAILED, f"The mail service refused it ({event['eventType']}).")
        case _:
            return None


def _bounce_reason(bounce: Mapping[str, Any]) -> str:
    recipients: list[dict[str, str]] = bounce.get("bouncedRecipients") or [{}]
    said = recipients[0].get("diagnosticCode", "")
    return f"{bounce['bounceType']} bounce ({bounce.get('bounceSubType', '')}). {said}".strip()
