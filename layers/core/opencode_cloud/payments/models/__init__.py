"""Top-ups, events of Stripe, the objects of Stripe as far as they matter here, and errors."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import PaymentId, PlanId, RefundOrderId, TopUpId, WorkspaceId
from opencode_cloud.kit.errors import BadRequest, Conflict, NotFound, Unavailable, Unprocessable
from opencode_cloud.kit.money import CENT, DOLLAR, shown


class TopUpState(StrEnum):
    """The state of a top-up."""

    OPEN = "open"
    """The payer has not finished Checkout."""
    PENDING = "pending"
    """The payment is on its way, such as a bank debit."""
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"


class TopUpKind(StrEnum):
    """The way in which a top-up is paid."""

    CHECKOUT = "checkout"
    RELOAD = "reload"
    """By the saved card, without a person."""


class TopUp(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase of credit. Amounts are micro-cents, in whole cents."""

    id: TopUpId
    workspace_id: WorkspaceId
    credit: int
    fee: int
    currency: str
    state: TopUpState
    reason: str = ""
    """Stripe's code of the failure, if the top-up failed."""
    session_id: str = ""
    payment_id: PaymentId = PaymentId("")
    created_by: str = ""
    created_at: datetime
    updated_at: datetime
    kind: TopUpKind = TopUpKind.CHECKOUT
    attempt: int = 0
    """A part of idempotency keys. It grows only after a definite answer of Stripe."""
    tried_at: datetime | None = None
    """When the first request of this attempt was sent."""
    taxed: bool = False
    """Whether Stripe computes tax on it. It stays as it was when the purchase began."""
    tax: int = 0
    """The tax on top, as Stripe has computed it: before the charge of a reload, else with the payment."""
    calculation_id: str = ""
    """Stripe's calculation of the tax of a reload. Each attempt charges its amount."""

    @property
    def net_cents(self) -> int:
        """The credit and the fee, in cents."""
        return (self.credit + self.fee) // CENT

    @property
    def gross_cents(self) -> int:
        """The amount to charge, in cents."""
        return self.net_cents + self.tax // CENT


class Checkout(msgspec.Struct, frozen=True):
    """A checkout session: its id, and the address of its page, empty once it has ended."""

    id: str
    url: str


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of a checkout session."""

    id: str
    status: str
    payment_id: PaymentId
    top_up_id: TopUpId
    plan_id: PlanId = PlanId("")
    subscription_id: str = ""
    url: str = ""
    """The address of its page; empty once it has ended."""
    tax: int = 0
    """The tax in its total, in cents."""


class TaxCalculation(msgspec.Struct, frozen=True, kw_only=True):
    """The tax that Stripe computes on a purchase, in cents."""

    id: str
    tax: int


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of a payment intent. Amounts are cents."""

    id: PaymentId
    status: str
    received: int
    currency: str
    """In upper case."""
    customer_id: str
    top_up_id: TopUpId
    """From the metadata; empty for a payment that was not made here."""
    plan_id: PlanId = PlanId("")
    """The plan whose invoice it pays; empty for one that pays something else."""
    code: str
    """Code of the last failure, empty without one."""
    at: datetime
    """When the charge succeeded, else when the intent was made."""
    balance_transaction_id: str = ""
    stripe_fee: int = 0
    tax: int = 0
    """The tax in it, as its checkout or its invoice says."""
    calculation_id: str = ""
    """Stripe's calculation of its tax, as the charge of a reload names it; else empty."""
    buyer: tuple[str, ...] = ()
    """Name and address that the payer gave, line by line."""
    read_at: datetime | None = None
    """When Stripe was asked, so that an older state is not taken for a newer one."""


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of a refund. The amount is in cents."""

    id: str
    status: str
    amount: int
    payment_id: PaymentId
    at: datetime
    order_id: RefundOrderId = RefundOrderId("")
    """From the metadata; empty for a refund that was not ordered here."""


class DisputeView(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of a dispute. Amounts are cents."""

    id: str
    status: str
    withdrawn: int
    """The amount that Stripe took at the opening; 0 for an inquiry."""
    fees: tuple[tuple[str, int], ...] = ()
    """Balance transactions with a fee of Stripe: id and cents. Stripe gives the fee of a won dispute back: negative."""
    payment_id: PaymentId
    at: datetime


class CardView(msgspec.Struct, frozen=True, kw_only=True):
    """A saved payment method, as a person recognises it."""

    id: str
    brand: str
    """Such as ``visa``; the type of a method that is no card."""
    last4: str
    expires: str
    """Such as ``2034-12``; empty for a method that is no card."""


class EventHead(msgspec.Struct, frozen=True, kw_only=True):
    """An event of Stripe without its contents: the present state of its object counts, not the event's copy."""

    id: str
    type: str
    object_id: str
    live: bool
    created_at: datetime
    account_id: str = ""
    """The connected account that it is about; empty for an event of the account itself."""


class EventState(StrEnum):
    """The result of an event."""

    APPLIED = "applied"
    KEPT = "kept"
    """It is genuine and could not be applied. A replay applies it later."""
    IGNORED = "ignored"
    """It has no effect here."""


class AppliedBy(StrEnum):
    """The way on which an event came."""

    WEBHOOK = "webhook"
    SWEEP = "sweep"
    REPLAY = "replay"


class StripeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A processed event."""

    head: EventHead
    state: EventState
    reason: str
    applied_by: AppliedBy


class Result(msgspec.Struct, frozen=True):
    """The result of an event's effect, and the reason if it was kept."""

    state: EventState
    reason: str = ""


class SignatureRefused(BadRequest):
    """400: a webhook that Stripe did not sign, or not lately."""

    def __init__(self) -> None:
        super().__init__("invalid_signature", "The request has no valid signature of Stripe.")


class StripeRefused(Exception):
    """Stripe refused a request definitely: the same request would be refused again. ``code`` is Stripe's.

    ``payment_id`` is the payment intent of a declined card; ``decline`` is the bank's own code, if it gave one.
    """

    def __init__(self, code: str, decline: str = "", payment_id: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.decline = decline or code
        self.payment_id = PaymentId(payment_id)


def stripe_away() -> Unavailable:
    """Return the error for a request to Stripe with an unknown result; a retry with the same key is safe."""
    return Unavailable("stripe_unavailable", "Stripe did not answer. Try again; nothing is charged twice.", 5)


def payments_off() -> NotFound:
    """Return the error for a deployment without an account at Stripe."""
    return NotFound("payments_off", "This deployment takes no payments.")


def amount_out_of_range(least: int, most: int) -> Unprocessable:
    """Return the error for an amount that cannot be bought; bounds are micro-cents."""
    return Unprocessable(
        "amount_out_of_range",
        "A top-up is in whole cents, from %(least)s to %(most)s. Choose another one.",
        {"least": shown(least), "most": shown(most)},
    )


def top_up_not_found() -> NotFound:
    """Return the error for a top-up that does not exist or belongs to another workspace."""
    return NotFound("top_up_not_found", "The workspace has no top-up with this id.")


def no_customer() -> Conflict:
    """Return the error for the portal of a workspace that has never paid."""
    return Conflict("no_customer", "The workspace has no payment method yet. Buy credit first.")


def checkout_refused(code: str) -> Unprocessable:
    """Return the error for a checkout that Stripe refused."""
    return Unprocessable(
        "checkout_refused", "Stripe refused the checkout (%(code)s). Nothing was charged.", {"code": code}
    )


def event_not_found() -> NotFound:
    """Return the error for the replay of an event that Stripe does not know."""
    return NotFound("event_not_found", "Stripe has no such event. It keeps events for 30 days.")


class ReloadState(StrEnum):
    """The state of automatic reloads of a workspace. It is also the lease of a charge."""

    IDLE = "idle"
    CHARGING = "charging"
    """A charge runs, or waits for its next attempt."""
    ACTION_REQUIRED = "action_required"
    """The bank asks for the card's owner."""
    STOPPED = "stopped"
    """Reloads failed for good. A new card or a person resumes them."""


class ReloadTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The choice of a workspace. Amounts are micro-cents, in whole cents."""

    enabled: bool
    threshold: int
    """A reload begins when the available balance is below."""
    amount: int
    day_cap: int | None = None
    """The most that is reloaded in a UTC day; None: no cap."""
    month_cap: int | None = None


OFF = ReloadTerms(enabled=False, threshold=5 * DOLLAR, amount=20 * DOLLAR)
"""Reloads that were never set: off, with the amounts that forms propose."""


class AutoReload(msgspec.Struct, frozen=True, kw_only=True):
    """Automatic reloads of a workspace."""

    workspace_id: WorkspaceId
    terms: ReloadTerms
    state: ReloadState = ReloadState.IDLE
    reason: str = ""
    """The reason of a state other than ``idle``: a code of the bank, or a constant above."""
    top_up_id: TopUpId = TopUpId("")
    method_id: str = ""
    """The card of the last attempt."""
    next_at: datetime | None = None
    state_at: datetime
    base_url: str = ""


NO_CARD = "no_card"
NOT_FINISHED = "not_finished"
DAY_CAP = "day_cap"
MONTH_CAP = "month_cap"
AMOUNT_OVER_LIMIT = "amount_over_limit"
DEBT_OVER_LIMIT = "debt_over_limit"
TAX_REFUSED = "tax_refused"
TAX_LOCATION = "customer_tax_location_invalid"
"""Reasons of a stop beside the codes of banks: ours, and Stripe's code of an address that is not enough for tax."""
AUTHENTICATION = "authentication_required"
"""The bank's code of a charge that needs the card's owner."""


def reload_terms_too_fine() -> Unprocessable:
    """Return the error for terms of automatic reloads with parts of a cent."""
    return Unprocessable("reload_terms_refused", "Automatic reloads cannot be set so: amounts are whole cents.")


def reload_amount_refused(least: int, most: int) -> Unprocessable:
    """Return the error for an amount of automatic reloads that is out of range; bounds are micro-cents."""
    return Unprocessable(
        "reload_terms_refused",
        "Automatic reloads cannot be set so: the amount is from %(least)s to %(most)s.",
        {"least": shown(least), "most": shown(most)},
    )


def reload_threshold_refused(least: int, most: int) -> Unprocessable:
    """Return the error for a threshold of automatic reloads that is out of range; bounds are micro-cents."""
    return Unprocessable(
        "reload_terms_refused",
        "Automatic reloads cannot be set so: the threshold is from %(least)s to %(most)s.",
        {"least": shown(least), "most": shown(most)},
    )


def reload_cap_refused() -> Unprocessable:
    """Return the error for a cap of automatic reloads that permits none."""
    return Unprocessable(
        "reload_terms_refused",
        "Automatic reloads cannot be set so: a cap is at least the amount; leave it out for none.",
    )


def reload_not_waiting() -> Conflict:
    """Return the error for a retry, or the end, of a reload that does not wait for a person."""
    return Conflict("reload_not_waiting", "No automatic reload waits for you. Nothing was charged.")


def no_card() -> Conflict:
    """Return the error for automatic reloads of a workspace without a saved card."""
    return Conflict("no_card", "The workspace has no saved card. Buy credit once, or add a card in the payment portal.")
