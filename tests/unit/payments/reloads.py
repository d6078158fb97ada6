"""A shop that reloads its balance, for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.payments.models import ReloadTerms
from opencode_cloud.schema.mail import mails
from opencode_cloud.schema.payments import auto_reloads, top_ups
from opencode_cloud.schema.workspaces import members
from tests.unit.billing.books import DOLLAR
from tests.unit.payments.shop import PAYER, TWENTY, Shop
from tests.unit.usage.events import WORKSPACE

BASE = "https://cloud.example.com"
TERMS = ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=TWENTY)
TERMS_10 = ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=10 * DOLLAR)
CAPPED = ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=10 * DOLLAR, day_cap=30 * DOLLAR)


class ReloadShop:
    """A shop whose workspace has bought credit once, and reloads."""

    def __init__(self, shop: Shop, terms: ReloadTerms = TERMS) -> None:
        self.shop = shop
        self.number = 0
        shop.buy()
        shop.deliver_all()
        shop.reload_settings.change(PAYER, WORKSPACE, terms, BASE)
        self.work()

    @property
    def customer(self) -> str:
        found = self.shop.rows(select(top_ups.c.session_id).where(top_ups.c.session_id != ""))[0]["session_id"]
        return self.shop.client.checkout.sessions.retrieve(found).customer

    def spend(self, amount: int) -> None:
        self.number += 1
        self.shop.books.take(self.shop.books.use(self.number, amount))

    def take_card(self, token: str) -> str:
        """Save another card and choose it, as the portal does."""
        saved = self.shop.client.payment_methods.attach(token, {"customer": self.customer}).id
        chosen: Any = {"invoice_settings": {"default_payment_method": saved}}
        self.shop.client.customers.update(self.customer, chosen)
        return saved

    def work(self) -> None:
        """Do what the queue ``reloads`` brings, until nothing is left."""
        told = self.shop.books.place.told(Topic.RELOAD)
        self.shop.books.place.messages.clear()
        for each in told:
            self.shop.reloading.run(each)  # type: ignore[arg-type]
        if self.shop.books.place.told(Topic.RELOAD):
            self.work()

    def later(self, **passed: float) -> None:
        """Let time pass for the reload's row."""
        row = self.row
        values = {"state_at": row["state_at"] - timedelta(**passed)}
        if row["next_at"] is not None:
            values["next_at"] = row["next_at"] - timedelta(**passed)
        tried = update(top_ups).where(top_ups.c.tried_at.is_not(None))
        with self.shop.books.database.transaction() as connection:
            connection.execute(update(auto_reloads).values(values))
            connection.execute(tried.values(tried_at=utc_now() - timedelta(**passed)))

    @property
    def row(self) -> Any:
        return self.shop.rows(select(auto_reloads))[0]

    @property
    def state(self) -> tuple[str, str]:
        return self.row["state"], self.row["reason"]

    @property
    def charges(self) -> list[int]:
        """Amounts of the charges that Stripe made for reloads, in cents."""
        found = self.shop.client.charges.list({"limit": 100}).data
        return [each.amount for each in found if each.paid][:-1]

    def mails(self) -> list[Any]:
        query = select(mails.c.variables).where(mails.c.template == "payment-failed").order_by(mails.c.id)
        return [row["variables"] for row in self.shop.rows(query)]


@pytest.fixture
def reload_shop(shop: Shop) -> ReloadShop:
    owner = shop.books.place.person("owner@example.com")
    join(shop, owner.account_id, "owner")
    return ReloadShop(shop)


def join(shop: Shop, account_id: str, role: str) -> None:
    row = {"id": new_id("mem"), "workspace_id": WORKSPACE, "account_id": account_id, "role": role}
    with shop.books.database.transaction() as connection:
        connection.execute(members.insert(), row | dict.fromkeys(("created_at", "updated_at"), utc_now()))
