"""Send mails through SES."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.ids import MailId
from opencode_cloud.kit import aws
from opencode_cloud.mail.models import MAIL_TAG, MailRejected

if TYPE_CHECKING:
    from opencode_cloud.mail.rendering import Rendered

_FOR_GOOD = frozenset({"MessageRejected", "BadRequestException", "ValidationException"})
"""Codes of SES's permanent refusals of a mail."""


class SesTransport:
    """Sends through SES, which publishes events about each mail, with our id as a tag."""

    def __init__(self, sender: str, configuration_set: str) -> None:
        """Send from ``sender``; ``configuration_set`` says where events go (empty: nowhere)."""
        self._sender = sender
        self._options: dict[str, Any] = {"ConfigurationSetName": configuration_set} if configuration_set else {}

    def send(self, mail_id: MailId, recipient: str, message: Rendered) -> str:
        """Send a mail and return SES's id of it.

        Raises :class:`MailRejected` on a permanent refusal, botocore's ClientError on a temporary one.
        """
        if not self._sender:
            raise MailRejected("This deployment has no sender's address: set mail_from in the stage's settings.")
        from botocore.exceptions import ClientError  # only the function `mail` sends

        try:
            answer = aws.ses().send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [recipient]},
                Content={
                    "Simple": {
                        "Subject": {"Data": message.subject, "Charset": "UTF-8"},
                        "Body": {
                            "Text": {"Data": message.text, "Charset": "UTF-8"},
                            "Html": {"Data": message.html, "Charset": "UTF-8"},
                        },
                    }
                },
                EmailTags=[{"Name": MAIL_TAG, "Value": mail_id}],
                **self._options,
            )
        except ClientError as error:
            refusal = error.response.get("Error", {})
            if (code := refusal.get("Code", "")) in _FOR_GOOD:
                raise MailRejected(refusal.get("Message", code)) from error
            raise
        return answer["MessageId"]
