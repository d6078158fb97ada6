"""The stand-in, or Stripe's own test mode: set STRIPE_TEST_KEY to a key that begins with `sk_test_`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from local.stripe import StripeStandIn
from local.stripe.account import API_VERSION
from tests.stripe_stand_in import StandIn, running

REAL_KEY = os.environ.get("STRIPE_TEST_KEY", "")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeStandIn]:
    with running(tmp_path_factory.mktemp("stripe")) as server:
        yield server


@pytest.fixture
def stand_in(server: StripeStandIn) -> StandIn:
    """Return an account of the stand-in that no other test sees."""
    return StandIn(server, f"sk_test_{secrets.token_hex(12)}")


@pytest.fixture
def client(request: pytest.FixtureRequest) -> stripe.StripeClient:
    """Return a client of the stand-in, or of Stripe's test mode when a key is given."""
    if REAL_KEY:
        assert REAL_KEY.startswith("sk_test_"), "STRIPE_TEST_KEY must be a key of the test mode"
        return stripe.StripeClient(REAL_KEY, stripe_version=API_VERSION)
    account: StandIn = request.getfixturevalue("stand_in")
    return account.client()


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    return client.v1.customers.create({"email": "payer@example.com", "name": "A Payer"})


def error_of(call: Any) -> Any:
    """Return the error that a call raises."""
    with pytest.raises(stripe.StripeError) as caught:
        call()
    return caught.value
