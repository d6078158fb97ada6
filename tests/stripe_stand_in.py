"""An account of the stand-in for Stripe, as tests use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import stripe

from local.stripe import StripeStandIn
from local.stripe.account import API_VERSION
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
stripe.enable_telemetry = False


@contextmanager
def running(state: Path) -> Iterator[StripeStandIn]:
    """Run a stand-in."""
    server = StripeStandIn(state, ROOT)
    server.start()
    try:
        yield server
    finally:
        server.program.stop()


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
            http_client=stripe.RequestsClient(timeout=PATIENCE),
        )

    def control(self, step: str, **given: Any) -> Any:
        return self.server.control(step, self.key, **given)

    def fault(self, fault: str, **given: Any) -> None:
        self.control("faults", fault=fault, **given)

    def raw(self, method: str, path: str, body: str = "", **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/x-www-form-urlencoded"}
        return httpx.request(method, f"{self.server.url}{path}", content=body, headers=sent | headers, timeout=PATIENCE)
