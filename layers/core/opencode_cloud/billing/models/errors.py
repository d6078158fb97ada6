"""Errors of the ledger."""

from __future__ import annotations

from opencode_cloud.kit.errors import Conflict, NotFound, Unprocessable


class UnbalancedTransaction(Exception):
    """A draft breaks a rule of double entry. This is a defect of our code, so nothing is booked."""


def key_reused(kind: str, key: str) -> Conflict:
    """Return the error for a known idempotency key that comes with other terms."""
    return Conflict(
        "idempotency_key_reused",
        f"A {kind} with other terms was booked under the key {key}. Nothing was booked now. Use another key.",
    )


def billing_off() -> NotFound:
    """Return the error for every route and command of a deployment without billing."""
    return NotFound("billing_off", "This deployment does not keep a ledger. Set `billing.enabled` for its stage.")


def currency_mismatch(expected: str, found: str) -> Unprocessable:
    """Return the error for a payment in another currency than the deployment's."""
    return Unprocessable("currency_mismatch", f"The ledger is in {expected}. An amount in {found} cannot be booked.")


def transaction_not_found() -> NotFound:
    """Return the error for a transaction that does not exist or belongs to another workspace."""
    return NotFound("transaction_not_found", "The workspace has no transaction with this id.")


def statement_not_found(period: str) -> NotFound:
    """Return the error for a month without a statement."""
    return NotFound(
        "statement_not_found",
        "There is no statement for %(period)s. A month is closed on day 3 of the next.",
        {"period": period},
    )


def payment_not_found(payment_id: str) -> NotFound:
    """Return the error for a payment that was never credited."""
    return NotFound("payment_not_found", "No payment %(id)s was credited.", {"id": payment_id})


def payment_exists(payment_id: str) -> Conflict:
    """Return the error for a payment that was credited with other amounts."""
    return Conflict("payment_exists", f"The payment {payment_id} was credited with other amounts. Nothing changed.")


def returns_too_much(payment_id: str) -> Unprocessable:
    """Return the error for refunds and disputes that exceed their payment."""
    return Unprocessable(
        "returns_too_much",
        "Refunds and disputes of payment %(id)s would exceed it. Refund the rest at most.",
        {"id": payment_id},
    )


def payment_disputed(payment_id: str) -> Conflict:
    """Return the error for a refund of a payment with an open dispute."""
    return Conflict(
        "payment_disputed",
        "Payment %(id)s has an open dispute, so its money is withdrawn already. Wait for the dispute's end.",
        {"id": payment_id},
    )


def hold_ended(hold_id: str, state: str) -> Conflict:
    """Return the error for a pending transfer that ended in the other way."""
    return Conflict("hold_ended", f"{hold_id} is {state} already. It ends once.")


def hold_not_found(hold_id: str) -> NotFound:
    """Return the error for a refund or dispute without a pending transfer."""
    return NotFound("hold_not_found", f"There is no pending transfer {hold_id}.")


def invalid_amount(reason: str) -> Unprocessable:
    """Return the error for an amount that cannot be booked."""
    return Unprocessable("invalid_amount", f"This amount cannot be booked: {reason}.")


def invalid_end(reason: str) -> Unprocessable:
    """Return the error for an end of credit that cannot be set."""
    return Unprocessable("invalid_end", f"The credit cannot end then: {reason}.")


def credit_ended() -> Conflict:
    """Return the error for the reversal of a grant whose end has come: nothing of it can be spent any more."""
    return Conflict("credit_ended", "The credit of this grant has ended. Adjust the balance instead.")


def not_reversible(kind: str) -> Conflict:
    """Return the error for the reversal of a payment, or of the end of a refund or dispute."""
    return Conflict("not_reversible", f"A {kind} is not reversed. Refund the payment instead.")


def month_open(period: str) -> Conflict:
    """Return the error for closing a month too early, or out of order."""
    return Conflict(
        "month_open", f"{period} cannot be closed yet: it closes on day 3 of the next month, after the one before."
    )


def proposal_not_found() -> NotFound:
    """Return the error for a proposal that does not exist."""
    return NotFound("proposal_not_found", "There is no proposal with this id.")


def second_person() -> Conflict:
    """Return the error for an approval by the operator who made the proposal."""
    return Conflict("second_person", "Another operator must approve this adjustment.")


def proposal_done() -> Conflict:
    """Return the error for the approval of a proposal that was carried out."""
    return Conflict("proposal_done", "This adjustment was approved already.")
