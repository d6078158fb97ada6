"""Sends the mails that were queued, and takes in what became of them."""

from typing import Any

from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.app import handler as frame
from opencode_cloud.kit.sql import from_environment
from opencode_cloud.mail.deliveries import MailDeliveries
from opencode_cloud.mail.rendering import Renderer
from opencode_cloud.mail.service import Sending
from opencode_cloud.mail.store import MailQueue, MailStore, SesTransport

renderer = Renderer(lambda: aws.secret(settings.text("DEPLOYMENT_KEY_SECRET")), settings.text("PUBLIC_URL", ""))
transport = SesTransport(settings.text("MAIL_FROM"), settings.text("SES_CONFIGURATION_SET", ""))
deliveries = MailDeliveries(
    Sending(MailStore(from_environment()), renderer, transport), MailQueue(settings.text("MAIL_QUEUE_URL"))
)


@frame
def handler(event: dict[str, Any], _context: Any) -> Any:
    """Take in one batch of the mail queue, and answer which messages are to come again."""
    return deliveries.handle(event)
