"""Idempotency keys: one effect a key, whatever fails; and what the library does by itself."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.local.stripe.conftest import error_of
from tests.stripe_stand_in import StandIn

PAID: Any = {
    "amount": 2123,
    "currency": "usd",
    "payment_method": "pm_card_visa",
    "allowed_payment_method_types": ["card"],
    "confirm": True,
}
DECLINED: Any = PAID | {"payment_method": "pm_card_chargeDeclined"}


def count(account: StandIn, what: str) -> int:
    return len(account.raw("GET", f"/v1/{what}?limit=100").json()["data"])


def test_the_same_key_and_parameters_get_the_same_answer(client: stripe.StripeClient) -> None:
    key = secrets.token_hex(8)
    first = client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": key})
    second = client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": key})

    assert first.id == second.id
    assert second.last_response is not None
    assert second.last_response.headers["Idempotent-Replayed"] == "true"


def test_the_same_key_with_other_parameters_is_an_idempotency_error(client: stripe.StripeClient) -> None:
    key = secrets.token_hex(8)
    client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": key})

    error = error_of(lambda: client.v1.customers.create({"email": "b@example.com"}, {"idempotency_key": key}))

    assert isinstance(error, stripe.IdempotencyError)
    assert error.http_status == 400


def test_a_decline_is_replayed_without_asking_the_bank_again(stand_in: StandIn) -> None:
    api = stand_in.client().v1
    for _ in range(3):
        assert error_of(lambda: api.payment_intents.create(DECLINED, {"idempotency_key": "k"})).code == "card_declined"

    assert count(stand_in, "charges") == 1


def test_refused_parameters_leave_the_key_free(stand_in: StandIn) -> None:
    api = stand_in.client().v1
    wrong: Any = {"currency": "usd"}
    error_of(lambda: api.payment_intents.create(wrong, {"idempotency_key": "k"}))
    error_of(lambda: api.billing_portal.sessions.create({}, {"idempotency_key": "k"}))

    assert api.payment_intents.create(PAID, {"idempotency_key": "k"}).status == "succeeded"


def test_a_request_whose_key_is_running_gets_409(stand_in: StandIn) -> None:
    stand_in.fault("delay", seconds=1.0)

    def create(_: int) -> int | str:
        answer = stand_in.raw("POST", "/v1/customers", **{"Idempotency-Key": "k"})
        return answer.json()["error"]["code"] if answer.status_code == 409 else answer.status_code

    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(create, range(2)))

    assert sorted(answers, key=str) == [200, "idempotency_key_in_use"]
    assert count(stand_in, "customers") == 1


def test_a_server_error_is_replayed(stand_in: StandIn) -> None:
    stand_in.fault("error")
    api = stand_in.client().v1
    for _ in range(2):
        assert error_of(lambda: api.customers.create({}, {"idempotency_key": "k"})).http_status == 500

    assert count(stand_in, "customers") == 0
    api.customers.create({}, {"idempotency_key": "k2"})
    assert count(stand_in, "customers") == 1


def test_a_lost_answer_is_had_again_by_the_same_key(stand_in: StandIn) -> None:
    stand_in.fault("drop_after")
    api = stand_in.client().v1
    lost = error_of(lambda: api.payment_intents.create(PAID, {"idempotency_key": "k"}))

    assert isinstance(lost, stripe.APIConnectionError)
    assert api.payment_intents.create(PAID, {"idempotency_key": "k"}).status == "succeeded"
    assert count(stand_in, "charges") == 1


def test_a_forgotten_key_makes_a_second_object(stand_in: StandIn) -> None:
    api = stand_in.client().v1
    first = api.customers.create({}, {"idempotency_key": "k"})
    stand_in.control("idempotency_keys/forget")

    assert api.customers.create({}, {"idempotency_key": "k"}).id != first.id


def test_a_key_that_is_too_long_is_refused(stand_in: StandIn) -> None:
    answer = stand_in.raw("POST", "/v1/customers", **{"Idempotency-Key": "k" * 256})

    assert answer.status_code == 400


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
def test_the_library_tries_a_dropped_connection_again_with_the_same_key(stand_in: StandIn, fault: str) -> None:
    stand_in.fault(fault)

    assert stand_in.client(retries=2).v1.payment_intents.create(PAID).status == "succeeded"
    assert count(stand_in, "charges") == 1


def test_the_library_does_not_try_429_again(stand_in: StandIn) -> None:
    stand_in.fault("rate_limit")
    client = stand_in.client(retries=2)

    assert isinstance(error_of(lambda: client.v1.customers.create({})), stripe.RateLimitError)
    assert client.v1.customers.create({}).id
