"""A failed payment reaches the webhook of its workspace: in the transaction that tells people by mail, once."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.schema.budgets import budget_webhooks
from opencode_cloud.schema.webhooks import webhook_deliveries
from tests.unit.billing.books import DOLLAR
from tests.unit.payments.reloads import BASE, ReloadShop
from tests.unit.payments.shop import TWENTY, Shop
from tests.unit.usage.events import WORKSPACE


def hook(shop: Shop) -> None:
    row = {"workspace_id": WORKSPACE, "url": "https://hooks.example.com/", "generation": 1}
    with shop.books.database.transaction() as connection:
        connection.execute(budget_webhooks.insert(), {**row, "updated_by": "ada", "updated_at": utc_now()})


def lose_card(place: ReloadShop) -> None:
    client = place.shop.client
    customer = client.customers.retrieve(place.customer)
    client.payment_methods.detach(customer.invoice_settings.default_payment_method)


def announced(shop: Shop) -> list[dict[str, Any]]:
    rows = shop.rows(select(webhook_deliveries.c.id, webhook_deliveries.c.body).order_by(webhook_deliveries.c.id))
    bodies = [json.loads(row["body"]) for row in rows]
    assert [each["id"] for each in bodies] == [row["id"] for row in rows]
    assert all(each["workspace"] == {"id": WORKSPACE, "name": "Acme"} for each in bodies)
    return bodies


def test_reloads_that_stop_are_announced_once(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    hook(shop)
    lose_card(reload_shop)
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    shop.deliver_all()
    shop.deliver_all()
    (message,) = announced(shop)
    assert message["type"] == "payment.failed"
    assert message["payment"] == {
        "top_up_id": message["payment"]["top_up_id"],
        "amount": TWENTY,
        "currency": "USD",
        "reason": "no_card",
        "explanation": "no card is saved as the default one",
        "action_required": False,
        "reloads_stopped": True,
        "url": f"{BASE}/console/{WORKSPACE}/payments",
    }
    assert message["payment"]["top_up_id"].startswith("top_")
    assert len(reload_shop.mails()) == 1


def test_a_card_whose_owner_must_act_is_announced(reload_shop: ReloadShop) -> None:
    hook(reload_shop.shop)
    reload_shop.take_card("pm_card_authenticationRequired")
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    (message,) = announced(reload_shop.shop)
    assert (message["payment"]["reason"], message["payment"]["action_required"]) == ("authentication_required", True)


def test_a_purchase_that_the_bank_returns_is_announced(shop: Shop) -> None:
    hook(shop)
    top_up = shop.buy(card="pm_usBankAccount_success")
    shop.deliver_all()
    shop.stand_in.control("payment_intents/settle", payment_intent=shop.intent_of(top_up).id, paid=False)
    shop.deliver_all()
    shop.deliver_all()
    (message,) = announced(shop)
    assert shop.books.place.told(Topic.WEBHOOK) == [message["id"]]
    assert (message["payment"]["top_up_id"], message["payment"]["amount"]) == (top_up.id, TWENTY)
    assert (message["payment"]["action_required"], message["payment"]["reloads_stopped"]) == (False, False)


def test_a_workspace_without_a_webhook_gets_a_mail_only(reload_shop: ReloadShop) -> None:
    lose_card(reload_shop)
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    assert announced(reload_shop.shop) == []
    assert len(reload_shop.mails()) == 1
