"""A shop whose workspace has people and a plan per seat, under a test clock of the stand-in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.payments.models.plans import SeatPlan
from opencode_cloud.schema.mail import mails
from opencode_cloud.schema.payments import payment_customers, plan_invoices, plans
from opencode_cloud.schema.workspaces import members
from tests.unit.payments.reloads import BASE, join
from tests.unit.payments.shop import BACK, PAYER, Shop
from tests.unit.usage.events import WORKSPACE


class PlanShop:
    """A shop, the people of its workspace, and the time of its customer at Stripe."""

    def __init__(self, shop: Shop, people: int = 3) -> None:
        self.shop = shop
        self.now = int(datetime.now(UTC).timestamp())
        self.clock = shop.client.test_helpers.test_clocks.create({"frozen_time": self.now}).id
        self.customer = shop.client.customers.create({"test_clock": self.clock}).id
        row = {"workspace_id": WORKSPACE, "customer_id": self.customer, "created_at": utc_now()}
        with shop.books.database.transaction() as connection:
            connection.execute(payment_customers.insert(), row)
        self.people: list[str] = []
        self.hired = 0
        self.hire("owner")
        for _ in range(people - 1):
            self.hire()

    # --------------------------------------------------------------------------------- people

    def hire(self, role: str = "member") -> str:
        self.hired += 1
        person = self.shop.books.place.person(f"p{self.hired}@example.com")
        join(self.shop, person.account_id, role)
        self.people.append(person.account_id)
        return person.account_id

    def dismiss(self, account_id: str) -> None:
        change = update(members).where(members.c.account_id == account_id)
        with self.shop.books.database.transaction() as connection:
            connection.execute(change.values(removed_at=utc_now()))

    # --------------------------------------------------------------------------------- plans

    def save_card(self, token: str = "pm_card_visa") -> str:
        saved = self.shop.client.payment_methods.attach(token, {"customer": self.customer}).id
        chosen: Any = {"invoice_settings": {"default_payment_method": saved}}
        self.shop.client.customers.update(self.customer, chosen)
        return saved

    def start(self, card: str = "pm_card_visa") -> SeatPlan:
        """Start a plan by Checkout. Nothing is delivered yet."""
        plan, _ = self.shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        self.shop.complete(self.row(plan.id)["session_id"], card)
        return plan

    def started(self, card: str = "pm_card_visa") -> SeatPlan:
        """Start a plan, and deliver all of its events."""
        self.start(card)
        self.shop.deliver_all()
        return self.plan

    def work(self) -> None:
        """Do what the queue ``reloads`` brings for seats, until nothing is left."""
        told = self.shop.books.place.told(Topic.SEATS)
        self.shop.books.place.messages.clear()
        for each in told:
            self.shop.following.set_seats(WorkspaceId(each))
        if self.shop.books.place.told(Topic.SEATS):
            self.work()

    def advance(self, **time: float) -> None:
        """Move the time at Stripe. Nothing is delivered."""
        self.now += int(timedelta(**time).total_seconds())
        self.shop.client.test_helpers.test_clocks.advance(self.clock, {"frozen_time": self.now})

    # --------------------------------------------------------------------------------- reading

    def row(self, plan_id: str) -> Any:
        return self.shop.rows(select(plans).where(plans.c.id == plan_id))[0]

    @property
    def plan(self) -> SeatPlan:
        found = self.shop.planning.get(WORKSPACE)
        assert found
        return found

    @property
    def subscription(self) -> Any:
        return self.shop.client.subscriptions.retrieve(self.plan.subscription_id)

    def invoices(self) -> list[Any]:
        """Return our rows of invoices, the oldest first."""
        return list(self.shop.rows(select(plan_invoices).order_by(plan_invoices.c.created_at, plan_invoices.c.number)))

    def paid(self) -> list[int]:
        """Return the amounts of the charges at Stripe, in cents, the oldest first."""
        found = self.shop.client.charges.list({"limit": 100}).data
        return [each.amount for each in found if each.paid][::-1]

    def mails(self, template: str) -> list[Any]:
        query = select(mails.c.variables).where(mails.c.template == template).order_by(mails.c.id)
        return [row["variables"] for row in self.shop.rows(query)]


@pytest.fixture
def place_with_plan(shop: Shop) -> PlanShop:
    return PlanShop(shop)
