"""The way out: SES."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from opencode_cloud.contracts.ids import MailId
from opencode_cloud.kit import aws
from opencode_cloud.mail.models import MAIL_TAG, Refused

if TYPE_CHECKING:
    from opencode_cloud.mail.rendering import Rendered

_FOR_GOOD = frozenset({"MessageRejected", "BadRequestException", "ValidationException"})
"""Codes with which SES says that this mail will never be taken."""


class SesTransport:
    """Sends through SES, which reports back what became of each mail, by its tag."""

    def __init__(self, sender: str, configuration_set: str) -> None:
        """Send from ``sender``; events go where ``configuration_set`` says (empty: nowhere)."""
        self._sender = sender
        self._options: dict[str, Any] = {"ConfigurationSetName": configuration_set} if configuration_set else {}

    def send(self, mail_id: MailId, recipient: str, message: Rendered) -> str:
        """Hand a mail over and return SES's id of it.

        Raises :class:`Refused` when SES will never take it, botocore's ClientError for anything that may pass.
        """
        if not self._sender:
            raise Refused("This deployment has no sender's address: set mail_from in the stage's settings.")
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
            if aws.error_code(error) in _FOR_GOOD:
                raise Refused(error.response.get("Error", {}).get("Message", aws.error_code(error))) from error
            raise
        return answer["MessageId"]
