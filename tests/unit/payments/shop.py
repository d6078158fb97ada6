"""Payments over the real database and the stand-in for Stripe, spoken to by the real library."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import stripe
from sqlalchemy import select

from local.stripe import StripeStandIn
from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.billing.service.credits import Credits
from opencode_cloud.billing.service.payments import Payments
from opencode_cloud.billing.service.reading import BillingReader
from opencode_cloud.billing.store.closing import ClosingStore
from opencode_cloud.billing.store.payments import PaymentStore
from opencode_cloud.billing.store.proposals import ProposalStore
from opencode_cloud.billing.store.reading import LedgerReader
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import TopUpId, WorkspaceId
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore
from opencode_cloud.payments.fees import FeeSchedule
from opencode_cloud.payments.models import StripeEvent, TopUp
from opencode_cloud.payments.models.plans import PlanTerms
from opencode_cloud.payments.service.documents import Documents
from opencode_cloud.payments.service.effects import Effects
from opencode_cloud.payments.service.plan_effects import PlanEffects
from opencode_cloud.payments.service.plan_following import PlanFollowing
from opencode_cloud.payments.service.plan_notices import PlanNotices
from opencode_cloud.payments.service.planning import Planning
from opencode_cloud.payments.service.receiving import Receiving
from opencode_cloud.payments.service.refund_orders import RefundOrders
from opencode_cloud.payments.service.refunding import Refunding
from opencode_cloud.payments.service.reload_ends import ReloadEnds
from opencode_cloud.payments.service.reload_settings import ReloadSettings
from opencode_cloud.payments.service.reload_trigger import ReloadTrigger
from opencode_cloud.payments.service.reloading import Reloading
from opencode_cloud.payments.service.seats import Seats
from opencode_cloud.payments.service.second_subscriptions import SecondStarts, SecondSubscriptions
from opencode_cloud.payments.service.topping_up import SaleTerms, ToppingUp
from opencode_cloud.payments.store.auto_reloads import AutoReloadStore
from opencode_cloud.payments.store.documents import SaleDocumentStore
from opencode_cloud.payments.store.events import EventStore
from opencode_cloud.payments.store.plans import PlanStore
from opencode_cloud.payments.store.refunds import RefundStore
from opencode_cloud.payments.store.second_subscriptions import SecondSubscriptionStore
from opencode_cloud.payments.store.top_ups import TopUpStore
from opencode_cloud.payments.stripe_api import StripeApi
from opencode_cloud.payments.stripe_plans import StripePlans
from opencode_cloud.schema.payments import stripe_events, top_ups
from opencode_cloud.webhooks.service.announcing import Announcer
from opencode_cloud.webhooks.store.deliveries import DeliveryStore
from tests.stripe_stand_in import StandIn
from tests.unit.billing.books import DOLLAR, Books
from tests.unit.usage.events import WORKSPACE

TWENTY = 20 * DOLLAR
SELLER = "Example GmbH\nSample Street 1\n12345 Town\nDE123456789"
BACK = "http://127.0.0.1:9/console/billing"
PAYER = Actor(kind=ActorKind.MEMBER, id="mem_payer", name="payer@example.com", workspace_id=WORKSPACE)
OPERATOR = Actor(kind=ActorKind.OPERATOR, name="ann", role="owner")
SEAT_TERMS = PlanTerms(seat_price=20 * DOLLAR, seat_credit=5 * DOLLAR, notice_days=7)
UPSTREAM_FEE = FeeSchedule.parse("0.044+30")


@dataclass
class Shop:
    """A deployment that sells credit."""

    books: Books
    server: StripeStandIn
    plan_terms: PlanTerms = SEAT_TERMS
    taxed: bool = False

    def __post_init__(self) -> None:
        self.address: dict[str, str] = {}
        """The address that payers type on the page of Checkout."""
        self.stand_in = StandIn(self.server, f"sk_test_{secrets.token_hex(12)}")
        self.webhook_secrets = ["whsec_one"]
        self.api = StripeApi(self.server.url, self.secret, lambda: None)
        self.payments = Payments(self.books.booking, PaymentStore())
        books = self.books
        self.credits = Credits(books.booking, books.store, ProposalStore(), PaymentStore(), books.audit)
        self.build()

    def build(self) -> None:
        outbox, store, events, reloads = self.books.place.outbox, TopUpStore(), EventStore(), AutoReloadStore()
        terms, audit, database = SaleTerms(fees=UPSTREAM_FEE, taxed=self.taxed), self.books.audit, self.books.database
        self.mailer = Mailer(MailStore(database))
        self.reader = BillingReader(database, LedgerReader(database, self.books.store), ClosingStore(), enabled=True)
        announcer, plans = Announcer(DeliveryStore()), PlanStore()
        ends = ReloadEnds(reloads, store, self.mailer, announcer)
        notices, seats = PlanNotices(plans, reloads, self.mailer, announcer), Seats(plans)
        stripe_plans = StripePlans(self.api)
        refunds, second = RefundStore(), SecondSubscriptionStore()
        self.refund_orders = RefundOrders(outbox, audit, self.payments, refunds)
        starts = SecondStarts(second, audit, self.payments, self.refund_orders, notices)
        self.plan_effects = PlanEffects(
            outbox, self.api, stripe_plans, plans, store, self.payments, notices, seats, starts
        )
        self.seconds = SecondSubscriptions(outbox, stripe_plans, second, self.plan_effects)
        self.following = PlanFollowing(
            outbox,
            self.api,
            stripe_plans,
            plans,
            store,
            self.plan_effects,
            notices,
            seats,
            self.plan_terms,
            self.seconds,
        )
        self.documents = Documents(outbox, SaleDocumentStore(), store, SELLER)
        self.effects = Effects(
            outbox, self.api, store, self.payments, reloads, ends, self.documents, refunds, self.plan_effects
        )
        self.refunding = Refunding(outbox, self.api, self.effects, refunds)
        self.reloading = Reloading(
            outbox, self.api, self.effects, self.reader, reloads, store, ReloadTrigger(reloads), ends, terms
        )
        self.receiving = Receiving(
            outbox, self.api, self.effects, events, store, self.reloading, self.refunding, self.following
        )
        self.topping_up = ToppingUp(outbox, audit, self.api, store, terms)
        self.planning = Planning(
            outbox,
            audit,
            self.api,
            stripe_plans,
            plans,
            seats,
            self.topping_up,
            self.plan_effects,
            self.following,
            self.plan_terms,
        )
        self.reload_settings = ReloadSettings(outbox, audit, self.api, reloads, store, self.reloading, terms)

    def secret(self) -> str:
        return json.dumps({"api_key": self.stand_in.key, "webhook_secrets": self.webhook_secrets})

    # ------------------------------------------------------------------------------------- buying

    def begin(self, credit: int = TWENTY, workspace_id: WorkspaceId = WORKSPACE) -> tuple[TopUp, str]:
        """Open a checkout; return the top-up and the session's id."""
        top_up, checkout = self.topping_up.begin(PAYER, workspace_id, credit, BACK)
        return top_up, checkout.id

    def buy(self, credit: int = TWENTY, card: str = "pm_card_visa") -> TopUp:
        """Open a checkout and pay it. Nothing is delivered yet."""
        top_up, session = self.begin(credit)
        self.complete(session, card)
        return top_up

    def complete(self, session: str, card: str = "pm_card_visa") -> None:
        """Pay on the page of a checkout."""
        self.stand_in.control("checkout/complete", session=session, payment_method=card, details=self.address)

    def top_up(self, top_up: TopUp) -> TopUp:
        return self.topping_up.get(top_up.workspace_id, TopUpId(top_up.id))

    @property
    def client(self) -> Any:
        return self.stand_in.client().v1

    def intent_of(self, top_up: TopUp) -> Any:
        session = self.top_up(top_up).session_id
        found = self.client.checkout.sessions.retrieve(session, {"expand": ["payment_intent.latest_charge"]})
        return found.payment_intent

    # ------------------------------------------------------------------------------------- events

    def events(self, *types: str) -> list[dict[str, Any]]:
        """Return events of the account as they are posted, the oldest first."""
        found = self.stand_in.raw("GET", "/v1/events?limit=100").json()["data"][::-1]
        return [each for each in found if not types or each["type"] in types]

    def deliver(self, *events: dict[str, Any], at: float | None = None) -> list[StripeEvent]:
        return [self.receiving.webhook(*self.signed(each, at)) for each in events]

    def signed(self, event: dict[str, Any], at: float | None = None) -> tuple[bytes, str]:
        body = json.dumps(event, indent=2)
        sign: Any = stripe.WebhookSignature.generate_signature_header
        return body.encode(), sign(body, self.webhook_secrets[0], int(at or time.time()))

    def deliver_all(self) -> list[StripeEvent]:
        return self.deliver(*self.events())

    # ------------------------------------------------------------------------------------- reading

    @property
    def balance(self) -> int:
        return self.books.available()

    def kept(self) -> list[str]:
        rows = self.rows(select(stripe_events).where(stripe_events.c.state == "kept"))
        return sorted(row["reason"] for row in rows)

    def sum(self, kind: AccountKind) -> int:
        return self.books.sum(kind)

    def rows(self, query: Any) -> Sequence[Any]:
        return self.books.rows(query)

    def all_top_ups(self) -> Sequence[Any]:
        return self.rows(select(top_ups))


@pytest.fixture
def shop(books: Books, stripe_server: StripeStandIn) -> Shop:
    return Shop(books, stripe_server)
