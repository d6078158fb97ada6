"""The route of Stripe's deliveries, as API Gateway hands them over."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.payments.routes import answer_webhook
from opencode_cloud.payments.routes.webhook import LARGEST_BODY
from tests.unit.payments.shop import TWENTY, Shop


def request(body: bytes, signature: str, method: str = "POST", *, packed: bool = False) -> dict[str, Any]:
    text = base64.b64encode(body).decode() if packed else body.decode("utf-8", "surrogateescape")
    return {
        "requestContext": {"http": {"method": method}},
        "rawPath": "/stripe/webhook",
        "headers": {"stripe-signature": signature},
        "body": text,
        "isBase64Encoded": packed,
    }


@pytest.fixture
def signed(shop: Shop) -> tuple[bytes, str]:
    shop.buy()
    return shop.signed(shop.events("checkout.session.completed")[0])


@pytest.mark.parametrize("packed", [False, True])
def test_a_signed_delivery_is_booked_before_it_is_acknowledged(
    shop: Shop, signed: tuple[bytes, str], packed: bool
) -> None:
    answer = answer_webhook(shop.receiving, request(*signed, packed=packed))

    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"state": "applied"})
    assert shop.balance == TWENTY


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"headers": {}}, 400),
        ({"body": ""}, 400),
        ({"body": "x" * (LARGEST_BODY + 1)}, 413),
        ({"requestContext": {"http": {"method": "GET"}}}, 404),
    ],
)
def test_other_requests_are_refused(shop: Shop, signed: tuple[bytes, str], change: dict[str, Any], status: int) -> None:
    assert answer_webhook(shop.receiving, request(*signed) | change)["statusCode"] == status
    assert shop.balance == 0


def test_a_failure_is_answered_so_that_stripe_delivers_again(
    shop: Shop, signed: tuple[bytes, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise Unavailable("database_resuming", "The database starts.", 1)

    with monkeypatch.context() as outage:
        outage.setattr(shop.payments, "top_up", away)
        assert answer_webhook(shop.receiving, request(*signed))["statusCode"] == 503

    assert answer_webhook(shop.receiving, request(*signed))["statusCode"] == 200
    assert shop.balance == TWENTY


def test_without_an_account_at_stripe_nothing_is_taken(shop: Shop, signed: tuple[bytes, str]) -> None:
    shop.api._secret = lambda: "{}"  # pyright: ignore[reportPrivateUsage]

    answer = answer_webhook(shop.receiving, request(*signed))

    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (404, "payments_off")
