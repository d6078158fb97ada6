"""Buying credit on the deployed stage, which has no account at Stripe. With one: tests/unit/payments."""

from __future__ import annotations

from typing import Any

import httpx

from local.stack import LocalStack
from tests.integration.people import People


def test_a_stage_without_an_account_at_stripe_sells_nothing(stack: LocalStack) -> None:
    owner: Any = People(stack).somebody("buyer@example.com")
    base = f"/api/v1/workspaces/{owner.found('Buyers')}"

    listed = owner.http.get(f"{base}/top-ups")
    refused = owner.http.post(f"{base}/top-ups", json={"credit": 2_000_000_000})

    assert (listed.status_code, listed.json()["data"]) == (200, [])
    assert (refused.status_code, refused.json()["code"]) == (404, "payments_off")
    assert owner.http.get(f"{base}/top-ups").json()["data"] == []
    assert owner.http.post(f"{base}/payment-portal").json()["code"] == "no_customer"


def test_only_stripe_is_heard_at_the_webhook(stack: LocalStack) -> None:
    answer = httpx.post(f"{stack.url}/stripe/webhook", content=b"{}", headers={"stripe-signature": "t=1,v1=x"})

    assert answer.status_code in (400, 404)
    assert answer.json()["code"] in ("invalid_signature", "payments_off")
