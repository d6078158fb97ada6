"""The queue of mails, and sending by SES."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opencode_cloud.contracts.ids import MailId
from opencode_cloud.kit import aws
from opencode_cloud.mail.models import MailRejected
from opencode_cloud.mail.rendering import Rendered
from opencode_cloud.mail.store.mail_queue import MailQueue
from opencode_cloud.mail.store.transport import SesTransport
from tests.unit.aws import Cloud

MAIL = Rendered("Your code", "Code: 123 ☀", "<p>Code: 123</p>")
SENDER = "cloud@example.com"


def test_each_mail_is_a_message(cloud: Cloud) -> None:
    url = cloud.queue("mail")
    MailQueue(url).send(["mail_1", "mail_2"])
    assert {json.loads(message["Body"])["mail"] for message in cloud.messages(url)} == {"mail_1", "mail_2"}


def test_a_mail_that_is_put_off_comes_later(cloud: Cloud) -> None:
    url = cloud.queue("mail")
    MailQueue(url).send(["mail_1"])
    [message] = cloud.messages(url)
    MailQueue(url).put_off(message["ReceiptHandle"], 0)
    [again] = cloud.messages(url)
    assert json.loads(again["Body"]) == {"mail": "mail_1"}
    MailQueue(url).put_off(again["ReceiptHandle"], 600)
    assert cloud.messages(url) == []


@pytest.fixture
def ses(cloud: Cloud) -> Any:
    client: Any = aws.ses()
    client.create_email_identity(EmailIdentity=SENDER)
    return client


def test_a_mail_goes_to_its_recipient_alone(ses: Any) -> None:
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.ses.models import ses_backends

    identifier = SesTransport(SENDER, "").send(MailId("mail_1"), "ada@example.com", MAIL)
    [sent] = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages
    assert sent.id == identifier
    assert (sent.source, sent.destinations["ToAddresses"], sent.subject) == (SENDER, ["ada@example.com"], MAIL.subject)


def test_what_ses_will_never_take_is_refused_for_good(ses: Any) -> None:
    with pytest.raises(MailRejected):
        SesTransport("stranger@example.org", "").send(MailId("mail_1"), "ada@example.com", MAIL)


def test_a_deployment_without_a_sender_says_so(ses: Any) -> None:
    with pytest.raises(MailRejected, match="mail_from"):
        SesTransport("", "").send(MailId("mail_1"), "ada@example.com", MAIL)
