"""Webhooks: signed, delivered again until taken, in any order; endpoints of this machine only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from local.stripe.deliveries import RETRY_SECONDS
from tests.local.stripe.conftest import error_of
from tests.stripe_stand_in import StandIn
from tests.waiting import until


class Receiver:
    """An endpoint that refuses the first ``failures`` deliveries."""

    def __init__(self) -> None:
        self.failures = 0
        self.deliveries: list[tuple[bytes, str]] = []
        outer = self

        class Taking(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if outer.failures:
                    outer.failures -= 1
                    self.send_response(500)
                else:
                    outer.deliveries.append((body, self.headers["stripe-signature"]))
                    self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of http.server
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/stripe"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body, _ in self.deliveries]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def endpoint(account: StandIn, receiver: Receiver, *types: Any) -> stripe.WebhookEndpoint:
    return account.client().v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": list(types) or ["*"]})


def test_an_event_is_posted_with_a_signature_that_the_library_accepts(stand_in: StandIn, receiver: Receiver) -> None:
    made = endpoint(stand_in, receiver, "customer.created")
    customer = stand_in.client().v1.customers.create({"email": "a@example.com"})
    until(lambda: receiver.deliveries)
    body, signature = receiver.deliveries[0]

    event = stripe.Webhook.construct_event(body, signature, str(made.secret))

    assert (event.type, event.data.object["id"]) == ("customer.created", customer.id)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", signature, str(made.secret))


def test_only_the_creation_shows_the_secret(stand_in: StandIn, receiver: Receiver) -> None:
    made = endpoint(stand_in, receiver)

    assert "secret" not in stand_in.client().v1.webhook_endpoints.retrieve(made.id)


def test_an_event_that_is_refused_comes_again(stand_in: StandIn, receiver: Receiver) -> None:
    endpoint(stand_in, receiver)
    receiver.failures = 2
    stand_in.client().v1.customers.create({})

    until(lambda: receiver.deliveries)

    assert [each["type"] for each in receiver.events] == ["customer.created"]
    until(lambda: not stand_in.client().v1.events.list({"delivery_success": False}).data)


@pytest.mark.parametrize("change", ["deleted", "disabled"])
def test_an_event_comes_no_more_to_an_endpoint_that_is_deleted_or_disabled(
    stand_in: StandIn, receiver: Receiver, change: str
) -> None:
    made = endpoint(stand_in, receiver)
    receiver.failures = 1_000
    client = stand_in.client()
    client.v1.customers.create({})
    until(lambda: receiver.failures < 1_000)

    if change == "deleted":
        client.v1.webhook_endpoints.delete(made.id)
    else:
        client.v1.webhook_endpoints.update(made.id, {"disabled": True})

    until(lambda: stand_in.control("webhooks/idle"))
    assert 1_000 - receiver.failures < len(RETRY_SECONDS)


def test_an_endpoint_gets_only_the_types_that_it_wants(stand_in: StandIn, receiver: Receiver) -> None:
    endpoint(stand_in, receiver, "customer.deleted")
    client = stand_in.client()
    client.v1.customers.delete(client.v1.customers.create({}).id)

    until(lambda: stand_in.control("webhooks/idle"))

    assert [each["type"] for each in receiver.events] == ["customer.deleted"]


def test_held_events_are_released_backwards_and_several_times(stand_in: StandIn, receiver: Receiver) -> None:
    endpoint(stand_in, receiver)
    stand_in.control("webhooks/hold")
    client = stand_in.client()
    client.v1.customers.delete(client.v1.customers.create({}).id)
    assert receiver.deliveries == []

    assert stand_in.control("webhooks/release", order="reversed", copies=10) == 20
    until(lambda: len(receiver.deliveries) == 20)

    assert {each["id"] for each in receiver.events} == {each.id for each in client.v1.events.list().data}


def test_an_event_is_a_snapshot(stand_in: StandIn, receiver: Receiver) -> None:
    endpoint(stand_in, receiver, "customer.created")
    stand_in.control("webhooks/hold")
    client = stand_in.client()
    made = client.v1.customers.create({"email": "old@example.com"})
    client.v1.customers.update(made.id, {"email": "new@example.com"})
    stand_in.control("webhooks/release")
    until(lambda: receiver.deliveries)

    assert receiver.events[0]["data"]["object"]["email"] == "old@example.com"


def test_during_a_rotation_both_secrets_sign(stand_in: StandIn, receiver: Receiver) -> None:
    made = endpoint(stand_in, receiver, "customer.created")
    new = stand_in.control("webhooks/roll", webhook_endpoint=made.id, seconds=60)
    stand_in.client().v1.customers.create({})
    until(lambda: receiver.deliveries)
    body, signature = receiver.deliveries[0]

    assert signature.count("v1=") == 2
    for secret in (str(made.secret), new):
        assert stripe.Webhook.construct_event(body, signature, secret).type == "customer.created"


def test_after_a_rotation_only_the_new_secret_signs(stand_in: StandIn, receiver: Receiver) -> None:
    made = endpoint(stand_in, receiver, "customer.created")
    stand_in.control("webhooks/roll", webhook_endpoint=made.id)
    stand_in.client().v1.customers.create({})
    until(lambda: receiver.deliveries)
    body, signature = receiver.deliveries[0]

    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, signature, str(made.secret))


def test_an_event_can_be_sent_again(stand_in: StandIn, receiver: Receiver) -> None:
    endpoint(stand_in, receiver)
    stand_in.client().v1.customers.create({})
    until(lambda: receiver.deliveries)

    stand_in.control("webhooks/resend", event=receiver.events[0]["id"], copies=3)

    until(lambda: len(receiver.deliveries) == 4)
    assert len({each["id"] for each in receiver.events}) == 1


def test_nothing_is_posted_to_other_machines(stand_in: StandIn) -> None:
    made: Any = {"url": "https://example.com/stripe", "enabled_events": ["*"]}

    assert error_of(lambda: stand_in.client().v1.webhook_endpoints.create(made)).code == "url_invalid"


def test_events_name_the_request_that_caused_them(client: stripe.StripeClient) -> None:
    client.v1.customers.create({}, {"idempotency_key": "customer:w1:1"})

    event = client.v1.events.list({"type": "customer.created", "limit": 1}).data[0]

    assert event.request is not None
    assert event.request.idempotency_key == "customer:w1:1"


def test_at_most_20_types_filter_events(client: stripe.StripeClient) -> None:
    many: Any = {"types": ["customer.created"] * 21}

    assert error_of(lambda: client.v1.events.list(many)).error.param == "types"
