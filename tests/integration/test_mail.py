"""Mails in a real database: sent once, retried, tracked, and suppressed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from opencode_cloud.contracts.ids import MailId, TransactionId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.sql import Database
from opencode_cloud.mail.deliveries import MailDeliveries, read_event
from opencode_cloud.mail.models import Mail, MailRejected, MailState, NotYet
from opencode_cloud.mail.preview import SAMPLES
from opencode_cloud.mail.rendering import Rendered, Renderer
from opencode_cloud.mail.service import Mailer, Sending
from opencode_cloud.mail.service.sending import MOST_ATTEMPTS, pause_seconds, purge
from opencode_cloud.mail.store import MailStore
from opencode_cloud.outbox.service import UnitOfWork


class Transport:
    """A transport that fails as configured."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.failure: Exception | None = None

    def send(self, mail_id: str, recipient: str, message: Rendered) -> str:
        if self.failure:
            raise self.failure
        self.sent.append((mail_id, recipient))
        return f"ses-{mail_id}"


class Post:
    """Both ends of a queue: units send mails, and the function receives them."""

    def __init__(self, database: Database) -> None:
        self.store = MailStore(database)
        self.transport = Transport()
        self.mailer = Mailer(self.store)
        self.sending = Sending(self.store, Renderer(lambda: "key", "https://cloud.example.com"), self.transport)

    def queue(
        self, recipient: str = "eve@example.com", template: Template = Template.INVITATION, **options: Any
    ) -> str:
        with self.store.transaction() as connection:
            unit = UnitOfWork(connection, TransactionId("txn_1"))
            mail_id = self.mailer.queue(unit, template, recipient, SAMPLES[template], **options)
            assert unit.messages == [("mail", mail_id, None)]
            return mail_id

    def look(self, mail_id: str) -> Mail:
        with self.store.transaction() as connection:
            mail = self.store.get(connection, MailId(mail_id))
        assert mail is not None
        return mail


@pytest.fixture
def post(database: Database) -> Post:
    return Post(database)


def event(mail_id: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"eventType": kind, "mail": {"messageId": "m", "tags": {"mail": [mail_id]}}, **more}


BOUNCE = {
    "bounceType": "Permanent",
    "bounceSubType": "General",
    "bouncedRecipients": [{"emailAddress": "eve@example.com", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}],
}


def note(post: Post, mail_id: str, kind: str, **more: Any) -> None:
    known = read_event(event(mail_id, kind, **more))
    assert known is not None
    post.sending.note(known)


def test_a_mail_is_sent_once_however_often_its_message_comes(post: Post) -> None:
    mail_id = post.queue()
    for _ in range(3):
        post.sending.send(MailId(mail_id))
    assert post.transport.sent == [(mail_id, "eve@example.com")]
    assert post.look(mail_id).state is MailState.SENT
    assert post.look(mail_id).message_id == f"ses-{mail_id}"


def test_a_mail_that_cannot_be_handed_over_comes_again_and_fails_visibly_in_the_end(post: Post) -> None:
    mail_id = post.queue()
    post.transport.failure = EndpointConnectionError(endpoint_url="https://email")
    for _ in range(MOST_ATTEMPTS - 1):
        with pytest.raises(NotYet):
            post.sending.send(MailId(mail_id))
    assert post.look(mail_id).state is MailState.QUEUED
    post.sending.send(MailId(mail_id))
    assert post.look(mail_id).state is MailState.FAILED
    assert "EndpointConnectionError" in post.look(mail_id).reason


def test_a_mail_that_is_refused_for_good_is_not_tried_again(post: Post) -> None:
    mail_id = post.queue()
    post.transport.failure = MailRejected("Email address is not verified.")
    post.sending.send(MailId(mail_id))
    assert (post.look(mail_id).state, post.look(mail_id).reason) == (
        MailState.FAILED,
        "Email address is not verified.",
    )


def test_after_a_bounce_nothing_is_sent_until_somebody_asks_for_it_again(post: Post) -> None:
    first = post.queue()
    post.sending.send(MailId(first))
    note(post, first, "Bounce", bounce=BOUNCE)
    assert post.look(first).state is MailState.BOUNCED
    assert "user unknown" in post.look(first).reason
    second = post.queue("EVE@example.com")
    post.sending.send(MailId(second))
    assert post.look(second).state is MailState.FAILED
    assert "user unknown" in post.look(second).reason
    third = post.queue(again=True)
    post.sending.send(MailId(third))
    assert post.look(third).state is MailState.SENT


def test_after_a_complaint_asking_again_does_not_help(post: Post) -> None:
    first = post.queue()
    post.sending.send(MailId(first))
    note(post, first, "Bounce", bounce=BOUNCE)
    note(post, first, "Complaint", complaint={})
    second = post.queue(again=True)
    post.sending.send(MailId(second))
    assert post.look(second).state is MailState.FAILED


def test_a_passing_bounce_blocks_nothing(post: Post) -> None:
    first = post.queue()
    post.sending.send(MailId(first))
    note(post, first, "Bounce", bounce=BOUNCE | {"bounceType": "Transient", "bounceSubType": "MailboxFull"})
    assert post.look(first).state is MailState.BOUNCED
    second = post.queue()
    post.sending.send(MailId(second))
    assert post.look(second).state is MailState.SENT


def test_late_and_repeated_news_do_not_take_back_newer_ones(post: Post) -> None:
    mail_id = post.queue()
    post.sending.send(MailId(mail_id))
    for kind, more in (("Bounce", {"bounce": BOUNCE}), ("Delivery", {}), ("Bounce", {"bounce": BOUNCE})):
        note(post, mail_id, kind, **more)
    assert post.look(mail_id).state is MailState.BOUNCED


def test_news_of_mails_that_are_not_ours_are_left_alone(post: Post) -> None:
    assert read_event({"eventType": "Bounce", "mail": {"tags": {"ses:caller-identity": ["x"]}}}) is None
    assert read_event(event("mai_1", "Open")) is None
    note(post, "mai_unknown", "Delivery")


def test_a_code_that_nobody_waits_for_any_more_is_not_sent(post: Post, database: Database) -> None:
    from opencode_cloud.schema.mail import mails

    mail_id = post.queue(template=Template.SIGN_IN_CODE)
    with database.transaction() as connection:
        connection.execute(mails.update().values(created_at=utc_now() - timedelta(minutes=16)))
    post.sending.send(MailId(mail_id))
    assert post.transport.sent == []
    assert post.look(mail_id).state is MailState.FAILED


def test_old_mails_are_deleted(post: Post, database: Database) -> None:
    from opencode_cloud.schema.mail import mails

    old, new = post.queue(), None
    with database.transaction() as connection:
        connection.execute(mails.update().values(created_at=utc_now() - timedelta(days=91)))
    new = post.queue()
    assert purge(post.store) == 1
    assert post.look(new)
    with post.store.transaction() as connection:
        assert post.store.get(connection, MailId(old)) is None


def test_one_bad_message_does_not_hold_up_the_others(post: Post) -> None:
    put_off: list[tuple[str, int]] = []

    class Queue:
        def put_off(self, receipt: str, seconds: int) -> None:
            put_off.append((receipt, seconds))

    good = post.queue("good@example.com")
    records = [
        {"messageId": "1", "receiptHandle": "r1", "attributes": {"ApproximateReceiveCount": "1"}, "body": "no JSON"},
        {
            "messageId": "2",
            "receiptHandle": "r2",
            "attributes": {"ApproximateReceiveCount": "3"},
            "body": json.dumps({"mail": good}),
        },
    ]
    deliveries = MailDeliveries(post.sending, Queue())  # pyright: ignore[reportArgumentType]
    assert deliveries.handle({"Records": records}) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert post.look(good).state is MailState.SENT
    later = post.queue("later@example.com")
    post.transport.failure = EndpointConnectionError(endpoint_url="https://email")
    records[1]["body"] = json.dumps({"mail": later})
    assert deliveries.handle({"Records": records[1:]}) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert put_off == [("r2", 60)]


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    assert [pause_seconds(tries) for tries in (1, 2, 3, 7, 8, 200)] == [15, 30, 60, 900, 900, 900]
