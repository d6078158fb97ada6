"""Messages to a webhook are signed, repeated until they are accepted, and logged with each attempt."""

from __future__ import annotations

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.schema.webhooks import webhook_deliveries
from opencode_cloud.webhooks.deliveries import WebhookDeliveries
from opencode_cloud.webhooks.models import DeliveryState, WebhookDelivery
from opencode_cloud.webhooks.service.sending import MOST_ATTEMPTS, PAUSES
from opencode_cloud.webhooks.store.client import HookClient
from tests.unit.budgets.office import Office
from tests.unit.workspaces.team import Place
from tests.waiting import PATIENCE

URL = "https://hooks.example.com/budgets"


@pytest.fixture
def office(place: Place) -> Office:
    return Office(place)


@pytest.fixture
def owner(place: Place) -> Actor:
    person = place.person("ada@example.com")
    return place.member(person, place.founded(person).id)


class Delays:
    """A queue that notes for how long it was told to wait."""

    def __init__(self) -> None:
        self.seconds: list[int] = []

    def put_off(self, receipt: str, seconds: int) -> None:
        assert receipt
        self.seconds.append(seconds)


def receive(office: Office, delays: Delays, *messages: str, receives: int = 1) -> list[str]:
    """Bring messages as the queue does; return those that must come again."""
    received = {"receiptHandle": "r", "attributes": {"ApproximateReceiveCount": str(receives)}}
    records = [{"messageId": each, "body": f'{{"webhook": "{each}"}}', **received} for each in messages]
    answer = WebhookDeliveries(office.sender, delays).handle({"Records": records})
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def logged(office: Office, owner: Actor) -> WebhookDelivery:
    return office.log.of_workspace(owner.workspace_id, None, 10)[0]


def test_a_test_is_signed_and_logged(office: Office, owner: Actor) -> None:
    hook = office.webhooks.set(owner, owner.workspace_id, URL)
    message = office.webhooks.test(owner, owner.workspace_id)
    assert office.place.told(Topic.WEBHOOK) == [message]
    waiting = logged(office, owner)
    assert (waiting.state, waiting.attempts) == (DeliveryState.PENDING, [])

    assert receive(office, Delays(), message) == []

    [(url, headers, body)] = office.posts
    assert (url, headers["webhook-id"]) == (URL, message)
    said = StandardWebhook(hook.secret).verify(body, dict(headers))
    assert (said["type"], said["workspace"]["id"]) == ("webhook.test", owner.workspace_id)
    for changed in (body + b" ", body.replace(b"test", b"tost")):
        with pytest.raises(WebhookVerificationError):
            StandardWebhook(hook.secret).verify(changed, dict(headers))
    with pytest.raises(WebhookVerificationError):
        StandardWebhook(hook.secret).verify(body, {**headers, "webhook-id": "another"})
    found = logged(office, owner)
    assert (found.state, found.next_at) == (DeliveryState.ACCEPTED, None)
    assert [each.status for each in found.attempts] == [200]
    # A message that the queue brings twice is sent once.
    assert receive(office, Delays(), message) == []
    assert len(office.posts) == 1
    assert office.place.actions()[-1] == "budget_webhook.tested"


def test_a_webhook_that_is_away_gets_the_same_message_again_after_growing_pauses(office: Office, owner: Actor) -> None:
    office.webhooks.set(owner, owner.workspace_id, URL)
    message, delays = office.webhooks.test(owner, owner.workspace_id), Delays()
    for attempt, status in enumerate((None, 500, 302), start=1):
        office.status = status
        before = utc_now()
        assert receive(office, delays, message, receives=attempt) == [message]
        due = logged(office, owner).next_at
        assert due is not None
        assert timedelta(0) <= due - before - timedelta(seconds=PAUSES[attempt - 1]) < timedelta(minutes=1)
    assert delays.seconds == list(PAUSES[:3])
    office.status = 204
    assert receive(office, delays, message, receives=4) == []
    assert [each.status for each in logged(office, owner).attempts] == [None, 500, 302, 204]
    assert len({body for _, _, body in office.posts}) == 1


def test_a_webhook_that_never_accepts_is_given_up(office: Office, owner: Actor) -> None:
    office.webhooks.set(owner, owner.workspace_id, URL)
    message, office.status = office.webhooks.test(owner, owner.workspace_id), 500
    answers = [receive(office, Delays(), message, receives=number + 1) for number in range(MOST_ATTEMPTS)]
    assert answers == [[message]] * (MOST_ATTEMPTS - 1) + [[]]
    found = logged(office, owner)
    assert (found.state, len(found.attempts), found.next_at) == (DeliveryState.GIVEN_UP, MOST_ATTEMPTS, None)


def test_a_message_ends_with_its_webhook(office: Office, owner: Actor) -> None:
    office.webhooks.set(owner, owner.workspace_id, URL)
    message = office.webhooks.test(owner, owner.workspace_id)
    office.webhooks.remove(owner, owner.workspace_id)
    assert receive(office, Delays(), message, "whk_unknown") == []
    assert office.posts == []
    assert logged(office, owner).state is DeliveryState.DROPPED
    with pytest.raises(NotFound):
        office.webhooks.test(owner, owner.workspace_id)


def test_no_message_waits_for_the_webhook_of_another(office: Office, owner: Actor) -> None:
    office.webhooks.set(owner, owner.workspace_id, URL)
    office.together = threading.Barrier(3, timeout=PATIENCE)
    messages = [office.webhooks.test(owner, owner.workspace_id) for _ in range(3)]
    assert receive(office, Delays(), *messages) == []
    assert len(office.posts) == 3


def test_the_log_is_listed_in_pages_and_forgets_after_30_days(office: Office, owner: Actor) -> None:
    office.webhooks.set(owner, owner.workspace_id, URL)
    messages = [office.webhooks.test(owner, owner.workspace_id) for _ in range(3)]
    page = office.log.of_workspace(owner.workspace_id, None, 2)
    rest = office.log.of_workspace(owner.workspace_id, (page[-1].created_at, page[-1].id), 2)
    assert [each.id for each in (*page, *rest)] == messages[::-1]
    with office.place.database.transaction() as connection:
        old = update(webhook_deliveries).where(webhook_deliveries.c.id == messages[0])
        connection.execute(old.values(created_at=utc_now() - timedelta(days=31)))
    assert office.log.purge() == 1
    with office.place.database.transaction() as connection:
        assert set(connection.execute(select(webhook_deliveries.c.id)).scalars()) == set(messages[1:])


def test_of_a_webhooks_answer_only_the_status_is_waited_for() -> None:
    class Endless(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            left.wait(60)
            ended.append(self.path)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            pass

    left, ended = threading.Event(), list[str]()
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        assert HookClient(private=True).post(f"http://127.0.0.1:{server.server_port}/", {}, b"{}") == 200
        assert ended == [], "the body never comes"
        left.set()
        server.shutdown()
