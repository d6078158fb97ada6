"""The function `payments`: sells and reloads credit by Stripe, takes its webhooks, sweeps what never arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from opencode_cloud.composition.control_plane import ControlPlane
from opencode_cloud.composition.services.access import access
from opencode_cloud.composition.services.billing import payments_of, reader_of
from opencode_cloud.composition.services.refunds import refund_orders_of
from opencode_cloud.composition.settings import (
    AccessSettings,
    BillingEnabled,
    OriginSecret,
    PublicUrl,
    RequestsPerMinute,
    StripeSecretArn,
)
from opencode_cloud.composition.sql_settings import ControlPlaneSettings
from opencode_cloud.console.app import ConsoleApp, form_answers
from opencode_cloud.console.menu import PAGES as MENU
from opencode_cloud.console.payments import PaymentPages
from opencode_cloud.console.plans import PlanPages
from opencode_cloud.http.api import api_app, limited_answer
from opencode_cloud.http.gate import Gate, only_once
from opencode_cloud.http.pages import pages_app
from opencode_cloud.kit import aws
from opencode_cloud.kit.edge import behind_edge
from opencode_cloud.kit.http_app import answer as answer_page
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.kit.rate_limits import REQUESTS_PER_MINUTE, RateLimiter
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore
from opencode_cloud.payments.deliveries import ReloadDeliveries, answer_invocation
from opencode_cloud.payments.fees import FeeSchedule
from opencode_cloud.payments.models.plans import PlanTerms
from opencode_cloud.payments.routes import (
    WEBHOOK_PATH,
    AutoReloadRoutes,
    InvoiceRoutes,
    PlanRoutes,
    RefundRoutes,
    TopUpRoutes,
    answer_webhook,
)
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
from opencode_cloud.webhooks.service.announcing import Announcer
from opencode_cloud.webhooks.store.deliveries import DeliveryStore

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.billing.service.payments import Payments


PAGES = "/console/"


class PaymentsSettings(ControlPlaneSettings, AccessSettings):
    """Environment variables of the function."""

    origin_secret: OriginSecret
    billing: BillingEnabled = False
    stripe_secret: StripeSecretArn = ""
    stripe_api_url: Annotated[str, "the URL of Stripe's API"] = "https://api.stripe.com"
    processing_fee: Annotated[str, "rate and cents of the fee on top of a top-up, such as 0.044+30; empty: none"] = ""
    least_top_up: Annotated[int, "the smallest top-up in dollars"] = 10
    most_top_up: Annotated[int, "the largest top-up in dollars"] = 10_000
    invoice_seller: Annotated[str, "the lines of the seller on invoices: name, address, tax id"] = ""
    stripe_tax: Annotated[bool, "1 to let Stripe compute tax on top of purchases and plans, else 0"] = False
    seat_price: Annotated[int, "micro-cents of a seat and month; 0: no plan is offered"] = 0
    seat_credit: Annotated[int, "micro-cents of promotional credit that a seat includes for a month"] = 0
    renewal_notice_days: Annotated[int, "days before a renewal at which the payers of a plan are told"] = 7
    public_url: PublicUrl = ""
    requests_per_minute: RequestsPerMinute = REQUESTS_PER_MINUTE


class Shop(msgspec.Struct, frozen=True):
    """The services of payments."""

    receiving: Receiving
    reloading: Reloading
    topping_up: ToppingUp
    reload_settings: ReloadSettings
    payments: Payments
    documents: Documents
    refund_orders: RefundOrders
    refunding: Refunding
    planning: Planning
    following: PlanFollowing
    seconds: SecondSubscriptions


def shop(settings: PaymentsSettings, plane: ControlPlane, api: StripeApi) -> Shop:
    """Build the services over the control plane."""
    store, reloads, trigger = TopUpStore(), AutoReloadStore(), ReloadTrigger(AutoReloadStore())
    mailer, announcer = Mailer(MailStore(plane.database)), Announcer(DeliveryStore())
    payments = payments_of(plane.database, plane.outbox, plane.audit)
    ends = ReloadEnds(reloads, store, mailer, announcer)
    documents = Documents(plane.outbox, SaleDocumentStore(), store, settings.invoice_seller)
    refunds = RefundStore()
    plans = PlanParts(settings, plane, api, payments, PlanNotices(PlanStore(), reloads, mailer, announcer))
    effects = Effects(plane.outbox, api, store, payments, reloads, ends, documents, refunds, plans.effects)
    refunding = Refunding(plane.outbox, api, effects, refunds)
    terms = SaleTerms(
        least=settings.least_top_up * DOLLAR,
        most=settings.most_top_up * DOLLAR,
        fees=FeeSchedule.parse(settings.processing_fee),
        taxed=settings.stripe_tax,
    )
    reader = reader_of(plane.database, enabled=settings.billing)
    reloading = Reloading(plane.outbox, api, effects, reader, reloads, store, trigger, ends, terms)
    topping_up = ToppingUp(plane.outbox, plane.audit, api, store, terms)
    return Shop(
        receiving=Receiving(plane.outbox, api, effects, EventStore(), store, reloading, refunding, plans.following),
        reloading=reloading,
        topping_up=topping_up,
        reload_settings=ReloadSettings(plane.outbox, plane.audit, api, reloads, store, reloading, terms),
        payments=payments,
        documents=documents,
        refund_orders=refund_orders_of(plane.outbox, plane.audit, payments),
        refunding=refunding,
        planning=plans.planning(topping_up),
        following=plans.following,
        seconds=plans.seconds,
    )


class PlanParts:
    """The services of plans."""

    def __init__(
        self,
        settings: PaymentsSettings,
        plane: ControlPlane,
        api: StripeApi,
        payments: Payments,
        notices: PlanNotices,
    ) -> None:
        self._plane, self._api = plane, api
        self._stripe, self._store = StripePlans(api), PlanStore()
        self._seats = Seats(self._store)
        self._terms = PlanTerms(
            seat_price=settings.seat_price,
            seat_credit=settings.seat_credit,
            notice_days=settings.renewal_notice_days,
            taxed=settings.stripe_tax,
        )
        outbox, stripe, store, customers = plane.outbox, self._stripe, self._store, TopUpStore()
        second, orders = SecondSubscriptionStore(), refund_orders_of(outbox, plane.audit, payments)
        seconds = SecondStarts(second, plane.audit, payments, orders, notices)
        self.effects = PlanEffects(outbox, api, stripe, store, customers, payments, notices, self._seats, seconds)
        self.seconds = SecondSubscriptions(outbox, stripe, second, self.effects)
        self.following = PlanFollowing(
            outbox, api, stripe, store, customers, self.effects, notices, self._seats, self._terms, self.seconds
        )

    def planning(self, topping_up: ToppingUp) -> Planning:
        """Build what people command."""
        plane = self._plane
        return Planning(
            plane.outbox,
            plane.audit,
            self._api,
            self._stripe,
            self._store,
            self._seats,
            topping_up,
            self.effects,
            self.following,
            self._terms,
        )


def pages_of(
    settings: PaymentsSettings, plane: ControlPlane, allowed: Access, services: Shop
) -> APIGatewayHttpResolver:
    """Build the pages of payments, in the frame of all pages of a workspace."""
    app = pages_app()
    answers = form_answers(settings.sessions_table, plane.deployment_key)
    # The pages beside these note the use of a session.
    console = ConsoleApp(allowed, plane.deployment_key, lambda _session: None, settings.public_url, answers)
    console.mount(app)
    console.menu.extend(MENU)
    PaymentPages(
        console,
        services.topping_up,
        services.reload_settings,
        services.receiving,
        services.payments,
        services.documents,
        services.refund_orders,
        services.planning,
    ).mount()
    PlanPages(console, services.planning, services.topping_up).mount()
    return app


def build(settings: PaymentsSettings) -> Handler:
    """Return the handler."""
    plane, allowed = ControlPlane(settings), access(settings)
    secret = settings.stripe_secret if settings.billing else ""
    api = StripeApi(settings.stripe_api_url, lambda: secret and aws.secret(secret), aws.secret.cache_clear)
    services = shop(settings, plane, api)
    app: Any = api_app()
    app.use([only_once(allowed, settings.sessions_table, plane.deployment_key)])
    gate = Gate(app, allowed)
    TopUpRoutes(services.topping_up, gate, settings.public_url).mount()
    AutoReloadRoutes(services.reload_settings, gate, settings.public_url).mount()
    InvoiceRoutes(services.documents, gate).mount()
    RefundRoutes(services.refund_orders, gate).mount()
    PlanRoutes(services.planning, gate, settings.public_url).mount()
    pages = pages_of(settings, plane, allowed, services)
    limiter = RateLimiter(settings.sessions_table, settings.requests_per_minute)
    reloads = ReloadDeliveries(services.reloading, services.refunding, services.following, services.seconds)

    def answer(event: dict[str, Any], context: Any) -> Any:
        if event["rawPath"] == WEBHOOK_PATH:
            return answer_webhook(services.receiving, event)
        if event["rawPath"].startswith(PAGES):
            return answer_page(pages, event, context)
        return limited_answer(app, limiter, event, context)

    served = behind_edge(answer, lambda: aws.secret(settings.origin_secret))

    def handle(event: dict[str, Any], context: Any) -> Any:
        if "rawPath" in event:
            return served(event, context)
        # An event without a path or records comes from the schedule or from an operator.
        return reloads.handle(event) if "Records" in event else answer_invocation(services.receiving, event)

    return frame(handle)
