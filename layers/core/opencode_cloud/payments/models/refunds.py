"""Orders to pay a part of a payment back, and the errors of ordering."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import PaymentId, RefundOrderId, WorkspaceId
from opencode_cloud.kit.errors import Conflict, NotFound, Unprocessable
from opencode_cloud.kit.marked_messages import gettext_noop

PAID_TWICE = gettext_noop("the plan was paid twice")
"""The reason of an order that no person has given. It is stored in English, and pages translate it."""


class RefundState(StrEnum):
    """The state of an order."""

    PROPOSED = "proposed"
    """It waits for an operator, or for a second one."""
    REJECTED = "rejected"
    """An operator has rejected the proposal."""
    ORDERED = "ordered"
    """Stripe is asked, or its answer is unknown yet."""
    REFUSED = "refused"
    """Stripe refused it. Nothing was paid back."""
    PENDING = "pending"
    """The money is on its way. The credit is frozen."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The bank did not take the money. The credit is there again."""


class RefundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order to pay a part of a payment back. Amounts are micro-cents, in whole cents, and gross: with the fee."""

    id: RefundOrderId
    workspace_id: WorkspaceId
    payment_id: PaymentId
    amount: int
    asked: int
    """The amount that was asked for; 0: all that was left."""
    idempotency_key: str
    """The caller's, unique for the payment."""
    reason: str
    state: RefundState
    code: str = ""
    """Stripe's code of a refusal."""
    refund_id: str = ""
    """Stripe's id."""
    attempt: int = 0
    """A part of the idempotency key. It grows only after a definite answer of Stripe."""
    tried_at: datetime | None = None
    """When the first request of this attempt was sent."""
    requested_by: str
    decided_by: str = ""
    created_at: datetime
    updated_at: datetime


def refund_order_not_found() -> NotFound:
    """Return the error for an order that does not exist or belongs to another workspace."""
    return NotFound("refund_order_not_found", "There is no refund with this id.")


def refund_key_reused(key: str) -> Conflict:
    """Return the error for a known idempotency key that comes with another amount."""
    return Conflict(
        "idempotency_key_reused",
        f"Another refund of this payment was ordered under the key {key}. Nothing was ordered now. Use another key.",
    )


def refund_not_proposed(state: RefundState) -> Conflict:
    """Return the error for the decision about an order that waits for none."""
    return Conflict("refund_not_proposed", f"This refund is {state} already. It is decided once.")


def refund_second_person() -> Conflict:
    """Return the error for an approval by the operator who ordered the refund."""
    return Conflict("second_person", "Another operator must approve this refund.")


def invalid_refund() -> Unprocessable:
    """Return the error for an amount that cannot be paid back."""
    return Unprocessable("invalid_refund", "This cannot be paid back: the amount is positive, in whole cents.")
