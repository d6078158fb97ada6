"""The function `mail`: sends queued mails and records the delivery events of SES."""

from __future__ import annotations

from typing import Annotated

from opencode_cloud.composition.settings import DeploymentKeySecret, MailQueueUrl, PublicUrl
from opencode_cloud.kit import aws
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.sql import DatabaseSettings, connect
from opencode_cloud.mail.deliveries import MailDeliveries
from opencode_cloud.mail.rendering import Renderer
from opencode_cloud.mail.service import Sending
from opencode_cloud.mail.store import MailQueue, MailStore, SesTransport


class MailSettings(DatabaseSettings):
    """Environment variables of the function."""

    deployment_key_secret: DeploymentKeySecret
    mail_queue_url: MailQueueUrl
    mail_from: Annotated[str, "the address that mails come from; empty: no mail can be sent"] = ""
    ses_configuration_set: Annotated[str, "the name of the SES configuration set that reports deliveries"] = ""
    public_url: PublicUrl = ""


def build(settings: MailSettings) -> Handler:
    """Return the handler."""
    renderer = Renderer(lambda: aws.secret(settings.deployment_key_secret), settings.public_url)
    transport = SesTransport(settings.mail_from, settings.ses_configuration_set)
    sending = Sending(MailStore(connect(settings)), renderer, transport)
    deliveries = MailDeliveries(sending, MailQueue(settings.mail_queue_url))
    return frame(lambda event, _context: deliveries.handle(event))
