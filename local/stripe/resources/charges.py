"""Charges, refunds, disputes, and the entries that they leave on the account's balance."""

from typing import Any

from local.stripe.account import Account
from local.stripe.errors import refused
from local.stripe.listing import include
from local.stripe.objects import Json, changes, listing, make
from local.stripe.resources.cards import behaviour
from local.stripe.resources.taxes import record
from local.stripe.routing import Methods

methods = Methods()
DISPUTE_FEE = 1500
"""In the minor unit."""
CLOSED = ("won", "lost", "warning_closed")


methods.add_retrieve("charge")
methods.add_list("charge", "customer payment_intent")
methods.add_retrieve("balance_transaction")
methods.add_list("balance_transaction", "currency source type")


@methods.add("POST", "/v1/refunds", "RefundCreateParams", "amount charge payment_intent reason metadata")
def create_refund(account: Account, values: dict[str, Any]) -> Json:
    """Refund a charge, or a part of it."""
    charge = _charge_of(account, values)
    left = charge["amount"] - charge["amount_refunded"]
    amount = values.get("amount", left)
    if any(not each["is_charge_refundable"] for each in account.all("dispute", charge=charge["id"])):
        raise refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", "charge_disputed")
    if left == 0:
        raise refused(f"Charge {charge['id']} has already been refunded.", "charge_already_refunded")
    if not 0 < amount <= left:
        message = f"Refund amount ({amount}) is not positive, or greater than the unrefunded amount on charge ({left})."
        raise refused(message, None, "amount")
    return refund(account, charge, amount, values.get("reason"), values.get("metadata") or {})


def refund(account: Account, charge: Json, amount: int, reason: str | None, metadata: dict[str, str]) -> Json:
    """Take back `amount` (minor units) of a charge, as its card does it."""
    fate = behaviour(account, charge["payment_method"]).refund
    made = account.add(
        make(
            "refund",
            amount=amount,
            charge=charge["id"],
            created=account.now(charge["customer"]),
            currency=charge["currency"],
            customer=charge["customer"],
            destination_details={"card": {"type": "refund"}, "type": "card"},
            metadata=metadata,
            payment_intent=charge["payment_intent"],
            payment_method=charge["payment_method"],
            pending_reason="processing" if fate == "pending" else None,
            reason=reason,
            status="pending" if fate == "pending" else "succeeded",
        )
    )
    made["balance_transaction"] = entry(account, "refund", made, -amount, 0)["id"]
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    intent = account.find("payment_intent", charge["payment_intent"])
    if intent is not None:
        record(account, intent, made["id"])
    account.emit("refund.created", made)
    account.emit("charge.refunded", charge, {"amount_refunded": charge["amount_refunded"] - amount})
    if fate == "failed":
        fail_refund(account, made)
    return made


def complete_refund(account: Account, made: Json) -> None:
    """Let a pending refund arrive."""
    account.change(made, "refund.updated", status="succeeded", pending_reason=None)
    account.emit("charge.refund.updated", made)


def fail_refund(account: Account, made: Json) -> None:
    """Let a refund fail: the money returns to the account's balance."""
    charge = account.at("charge", made["charge"])
    charge["amount_refunded"] -= made["amount"]
    charge["refunded"] = False
    back = entry(account, "refund_failure", made, made["amount"], 0)["id"]
    fields = {"status": "failed", "failure_reason": "expired_or_canceled_card", "pending_reason": None}
    account.change(made, "refund.updated", failure_balance_transaction=back, **fields)
    account.emit("refund.failed", made)
    account.emit("charge.refund.updated", made)


methods.add_retrieve("refund")
methods.add_list("refund", "charge payment_intent")
methods.add_retrieve("dispute")
methods.add_list("dispute", "charge payment_intent")


@methods.add("POST", "/v1/disputes/{}", "DisputeUpdateParams", "evidence.uncategorized_text submit metadata")
def update_dispute(account: Account, values: dict[str, Any], dispute_id: str) -> Json:
    """Submit evidence: the texts `winning_evidence` and `losing_evidence` decide, as in Stripe's test mode."""
    made = account.at("dispute", dispute_id)
    if made["status"] in CLOSED and "evidence" in values:
        raise refused("This dispute is already closed.", None, "evidence")
    made.update(changes(made, values))
    text = values.get("evidence", {}).get("uncategorized_text")
    made["evidence"]["uncategorized_text"] = text or made["evidence"]["uncategorized_text"]
    if text and values.get("submit", True):
        account.change(made, "charge.dispute.updated", status=_stage(made, "under_review"))
        if text in ("winning_evidence", "losing_evidence"):
            end_dispute(account, made, won=text == "winning_evidence")
    return made


@methods.add("POST", "/v1/disputes/{}/close", "DisputeCloseParams")
def close_dispute(account: Account, _values: dict[str, Any], dispute_id: str) -> Json:
    """Accept the loss of a dispute."""
    made = account.at("dispute", dispute_id)
    if made["status"] in CLOSED:
        raise refused("This dispute is already closed.")
    end_dispute(account, made, won=False)
    return made


def open_dispute(account: Account, charge: Json, amount: int, reason: str) -> Json:
    """Open a dispute over `amount` (minor units). The reason `inquiry` opens an inquiry, which withdraws nothing."""
    inquiry = reason == "inquiry"
    made = account.add(
        make(
            "dispute",
            amount=amount,
            balance_transactions=[],
            charge=charge["id"],
            created=account.now(charge["customer"]),
            currency=charge["currency"],
            enhanced_eligibility_types=[],
            evidence={"enhanced_evidence": {}, "uncategorized_text": None},
            evidence_details={
                "due_by": account.now(charge["customer"]) + 7 * 86400,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
                "submission_method": "manual",
            },
            is_charge_refundable=inquiry,
            metadata={},
            payment_intent=charge["payment_intent"],
            reason="fraudulent" if inquiry else reason,
            status="warning_needs_response" if inquiry else "needs_response",
        )
    )
    charge["disputed"] = True
    if not inquiry:
        made["balance_transactions"].append(entry(account, "adjustment", made, -amount, DISPUTE_FEE))
    account.emit("charge.dispute.created", made)
    if not inquiry:
        account.emit("charge.dispute.funds_withdrawn", made)
    return made


def end_dispute(account: Account, made: Json, *, won: bool) -> None:
    """End a dispute. A won one gives the amount and the fee back; an inquiry only closes."""
    if made["status"].startswith("warning"):
        account.change(made, "charge.dispute.closed", status="warning_closed")
        return
    account.change(made, "charge.dispute.closed", status="won" if won else "lost")
    if won:
        made["balance_transactions"].append(entry(account, "adjustment", made, made["amount"], -DISPUTE_FEE))
        account.emit("charge.dispute.funds_reinstated", made)


@include("charge", "refunds")
def _refunds(account: Account, charge: Json) -> Json:
    return listing(list(account.all("refund", charge=charge["id"])), f"/v1/charges/{charge['id']}/refunds")


def entry(account: Account, kind: str, source: Json, amount: int, fee: int) -> Json:
    """Store an entry of the account's balance: `amount` and `fee` in minor units."""
    details = [{"amount": fee, "application": None, "currency": source["currency"], "type": "stripe_fee"}]
    details[0]["description"] = "Stripe processing fees"
    now = account.now(source.get("customer"))
    category = {"adjustment": "dispute" if amount < 0 else "dispute_reversal"}.get(kind, kind)
    return account.add(
        make(
            "balance_transaction",
            amount=amount,
            available_on=now + 2 * 86400,
            balance_type="payments",
            created=now,
            currency=source["currency"],
            fee=fee,
            fee_details=details if fee else [],
            net=amount - fee,
            reporting_category=category,
            source=source["id"],
            status="pending",
            type=kind,
        )
    )


def _charge_of(account: Account, values: dict[str, Any]) -> Json:
    if "charge" in values and "payment_intent" in values:
        raise refused("You may only specify one of these parameters: charge, payment_intent.", None, "charge")
    if "charge" in values:
        charge = account.get("charge", values["charge"], "charge")
        if charge["status"] == "failed":
            raise refused(f"Charge {charge['id']} has failed; there is nothing to refund.", None, "charge")
        return charge
    if "payment_intent" not in values:
        raise refused("One of the following params should be provided for this request: payment_intent or charge.")
    intent = account.get("payment_intent", values["payment_intent"], "payment_intent")
    if intent["status"] not in ("succeeded", "processing"):
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise refused(message, "payment_intent_unexpected_state", "payment_intent")
    return account.at("charge", intent["latest_charge"])


def _stage(made: Json, status: str) -> str:
    return f"warning_{status}" if made["status"].startswith("warning") else status
