"""The stand-in, or Stripe's own test mode: set STRIPE_TEST_KEY to a key that begins with `sk_test_`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from local.stripe import StripeStandIn
from local.stripe.account import API_VERSION

ROOT = Path(__file__).resolve().parents[3]
REAL_KEY = os.environ.get("STRIPE_TEST_KEY", "")
stripe.enable_telemetry = False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeStandIn]:
    running = StripeStandIn(tmp_path_factory.mktemp("stripe"), ROOT)
    running.start()
    yield running
    running.program.stop()


@dataclass
class StandIn:
    """One account of the stand-in, and what only a stand-in can be told to do."""

    server: StripeStandIn
    key: str

    def client(self, retries: int = 0) -> stripe.StripeClient:
        return stripe.StripeClient(
            self.key,
            stripe_version=API_VERSION,
            base_addresses={"api": self.server.url},
            max_network_retries=retries,
            http_client=stripe.RequestsClient(timeout=20),
        )

    def control(self, step: str, **given: Any) -> Any:
        return self.server.control(step, self.key, **given)

    def fault(self, fault: str, **given: Any) -> None:
        self.control("faults", fault=fault, **given)

    def raw(self, method: str, path: str, body: str = "", **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/x-www-form-urlencoded"}
        return httpx.request(method, f"{self.server.url}{path}", content=body, headers=sent | headers, timeout=20)


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
