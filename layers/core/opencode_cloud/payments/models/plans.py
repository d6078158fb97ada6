"""Plans per seat: a subscription at Stripe for each workspace, its invoices, and errors. Amounts are micro-cents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import PaymentId, PlanId, SecondSubscriptionId, WorkspaceId
from opencode_cloud.kit.errors import Conflict, NotFound, Unavailable, Unprocessable
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.payments.models import CardView


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """The operator's terms of new plans. A running plan keeps the terms with which it began."""

    seat_price: int = 0
    """For a seat and month, in whole cents; 0: no plan is offered."""
    seat_credit: int = 0
    """Promotional credit for a seat and month, which ends with the period."""
    notice_days: int = 7
    """Days before a renewal at which the payers are told."""
    taxed: bool = False
    """Whether Stripe computes tax on top of the price."""

    @property
    def is_offered(self) -> bool:
        """Whether a workspace may start a plan."""
        return self.seat_price > 0


class PlanState(StrEnum):
    """The state of a plan."""

    STARTING = "starting"
    """The first payment is not finished."""
    ACTIVE = "active"
    PAST_DUE = "past_due"
    """A renewal is not paid."""
    ENDED = "ended"


PLAN_STATES = {
    "incomplete": PlanState.STARTING,
    "active": PlanState.ACTIVE,
    "trialing": PlanState.ACTIVE,
    "past_due": PlanState.PAST_DUE,
    "unpaid": PlanState.PAST_DUE,
    "paused": PlanState.PAST_DUE,
    "canceled": PlanState.ENDED,
    "incomplete_expired": PlanState.ENDED,
}
"""States by the status of a subscription at Stripe."""
UNPAID_STARTS = frozenset({"incomplete", "incomplete_expired"})
"""Statuses of a subscription whose first payment is not made. Checkout may make one for each attempt."""


class SeatPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan of a workspace, from its start to its end. A workspace has one at a time."""

    id: PlanId
    workspace_id: WorkspaceId
    state: PlanState
    seat_price: int
    seat_credit: int
    seats: int
    """The number of seats at Stripe; before the start, the one that was asked for."""
    subscription_id: str = ""
    item_id: str = ""
    session_id: str = ""
    attempt: int = 0
    """Number of the checkout. A part of its idempotency key."""
    changes: int = 0
    """Number of changes that Stripe was asked for. A part of their idempotency keys."""
    period_start: datetime | None = None
    period_end: datetime | None = None
    ends_at: datetime | None = None
    """When the plan ends; None: it renews."""
    noticed_for: datetime | None = None
    """End of the period before which the payers were told of the renewal."""
    reason: str = ""
    """Stripe's code, or ours, of a plan that never started."""
    version: int = 0
    """Grows with each state of Stripe that was written, so that an older one is not written after it."""
    base_url: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    tried_at: datetime | None = None
    """When the card was first asked to start the plan."""
    card_id: str = ""
    """That card. A repetition must name it again, because Stripe refuses other parameters under the same key."""
    checked_at: datetime | None = None
    """When the state was last read at Stripe."""
    taxed: bool = False
    """Whether Stripe computes tax on its invoices. It stays as it was when the plan began."""

    @property
    def runs(self) -> bool:
        """Whether the plan has started and not ended."""
        return self.state in (PlanState.ACTIVE, PlanState.PAST_DUE)


class PlanInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice of a plan, which Stripe issues."""

    id: str
    plan_id: PlanId
    workspace_id: WorkspaceId
    number: str
    status: str
    """``open``, ``paid``, ``void`` or ``uncollectible``."""
    reason: str
    """Such as ``subscription_create`` or ``subscription_cycle``."""
    seats: int
    """Seats of the period that the invoice is for; 0 if it is for changes only."""
    total: int
    tax: int = 0
    """The tax in the total."""
    due: int
    paid: int
    credited: int
    """Amount of all credit notes."""
    period_start: datetime | None
    period_end: datetime | None
    url: str
    """The page at Stripe on which it is read and paid."""
    failed: bool
    """Whether the payers were told that a payment failed."""
    version: int
    created_at: datetime
    updated_at: datetime


class SecondSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A paid start of a plan beside another one. It becomes no plan: it is canceled, and paid back in full."""

    id: SecondSubscriptionId
    subscription_id: str
    plan_id: PlanId
    """The plan in its metadata."""
    workspace_id: WorkspaceId
    ended_at: datetime | None = None
    """When it was canceled and all that was paid went back; None: not yet."""
    created_at: datetime
    updated_at: datetime


class SubscriptionView(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of a subscription."""

    id: str
    status: str
    plan_id: PlanId
    """From the metadata; empty for a subscription that was not made here."""
    customer_id: str
    item_id: str
    seats: int
    period_start: datetime
    period_end: datetime
    ends_at: datetime | None
    invoice_id: str
    """Its last invoice; empty before the first one."""
    card: CardView | None
    """The card that the next renewal is charged to."""


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """The present state of an invoice. Amounts are cents."""

    id: str
    status: str
    plan_id: PlanId
    """From the subscription's metadata; empty for an invoice of something else."""
    subscription_id: str
    customer_id: str
    number: str
    reason: str
    seats: int
    total: int
    tax: int = 0
    """The tax in the total."""
    due: int
    paid: int
    remaining: int
    credited: int
    period_start: datetime | None
    period_end: datetime | None
    url: str
    attempted: bool
    next_attempt_at: datetime | None
    payment_ids: tuple[PaymentId, ...]
    """Payments that succeeded."""
    at: datetime

    def tax_in(self, amount: int) -> int:
        """Return the tax in a payment of ``amount``, in cents."""
        return share_of_tax(self.tax, amount, self.total)


def share_of_tax(tax: int, amount: int, total: int) -> int:
    """Return the tax in a payment of a part of an invoice, in whole cents, a half up.

    Credit of the customer at Stripe may pay the rest. It carried the tax of its own share, so a payment has the tax of
    its share only.
    """
    return (tax * amount * 2 + total) // (total * 2) if total > 0 else 0


class PaidInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """The invoice that a payment pays: its plan, and the tax in the payment, in cents."""

    plan_id: PlanId = PlanId("")
    tax: int = 0


class NextInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """The invoice of the next renewal, as it would be now. Amounts are micro-cents."""

    due: int
    tax: int = 0
    """The tax in the total."""
    at: datetime


class StaleRead(Unavailable):
    """503: another process has written a newer state of the object while this one was read. Read it again."""

    def __init__(self) -> None:
        super().__init__("stale_read", gettext_noop("The plan changes at the moment. Try again."), 1)


NOT_STARTED = "not_started"
"""The reason of a plan that ended before its first payment."""


def plan_not_offered() -> NotFound:
    """Return the error for a deployment that sells no plan."""
    return NotFound("plan_not_offered", "This deployment offers no plan.")


def plan_exists() -> Conflict:
    """Return the error for a second plan."""
    return Conflict("plan_exists", "The workspace has a plan already. Its seats follow the members.")


def plan_not_found() -> NotFound:
    """Return the error for a workspace without a plan."""
    return NotFound("plan_not_found", "The workspace has no plan.")


def plan_refused(code: str) -> Unprocessable:
    """Return the error for a plan that Stripe, or the bank, refused."""
    return Unprocessable(
        "plan_refused", "The plan was not changed: Stripe or the bank refused it (%(code)s).", {"code": code}
    )
