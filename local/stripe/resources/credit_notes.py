"""Credit notes: they lower an open invoice, or give back a part of a paid one."""

from typing import Any

from local.stripe.account import Account
from local.stripe.errors import lacking, missing, refused
from local.stripe.objects import Json, listing, make
from local.stripe.resources import invoicing
from local.stripe.resources.charges import refund
from local.stripe.routing import Methods

methods = Methods()


@methods.add(
    "POST",
    "/v1/credit_notes",
    "CreditNoteCreateParams",
    "invoice amount refund_amount credit_amount reason memo metadata",
)
def create(account: Account, values: dict[str, Any]) -> Json:
    """Create a credit note. `refund_amount` and `credit_amount` divide the amount of one over a paid invoice."""
    invoice = account.get("invoice", values["invoice"], "invoice")
    if "amount" not in values:
        raise missing("amount")
    amount = values["amount"]
    if invoice["total_taxes"]:
        raise lacking("credit notes over invoices with tax")
    _check(invoice, amount, values)
    made = _new(account, invoice, values)
    if invoice["status"] == "open":
        _lower(account, invoice, amount)
    else:
        _give_back(account, invoice, made, values)
    account.emit("credit_note.created", made)
    return made


def _check(invoice: Json, amount: int, values: dict[str, Any]) -> None:
    if invoice["status"] not in ("open", "paid"):
        raise refused("Credit notes need an open or paid invoice.", None, "invoice")
    is_open = invoice["status"] == "open"
    parts = values.get("refund_amount", 0) + values.get("credit_amount", 0)
    if parts != (0 if is_open else amount):
        message = "The sum of refund_amount and credit_amount must equal the post payment amount of the credit note."
        raise refused(message, None, "amount")
    left = invoice["amount_remaining"] if is_open else invoice["total"] - invoice["post_payment_credit_notes_amount"]
    if not 0 < amount <= left:
        raise refused(f"The credit note amount must be from 1 to {left}.", None, "amount")


def _new(account: Account, invoice: Json, values: dict[str, Any]) -> Json:
    amount, now = values["amount"], account.now(invoice["customer"])
    line = make(
        "credit_note_line_item",
        amount=amount,
        discount_amount=0,
        discount_amounts=[],
        pretax_credit_amounts=[],
        tax_rates=[],
        type="custom_line_item",
    )
    number = 1 + sum(1 for _ in account.all("credit_note", invoice=invoice["id"]))
    is_open = invoice["status"] == "open"
    return account.add(
        make(
            "credit_note",
            amount=amount,
            amount_shipping=0,
            created=now,
            currency=invoice["currency"],
            customer=invoice["customer"],
            discount_amount=0,
            discount_amounts=[],
            effective_at=now,
            invoice=invoice["id"],
            lines=listing([line], f"/v1/credit_notes/{invoice['id']}/lines"),
            memo=values.get("memo"),
            metadata=values.get("metadata") or {},
            number=f"{invoice['number']}-CN-{number:02d}",
            pdf=f"{account.url}/pages/credit_notes",
            post_payment_amount=0 if is_open else amount,
            pre_payment_amount=amount if is_open else 0,
            pretax_credit_amounts=[],
            reason=values.get("reason"),
            refunds=[],
            status="issued",
            subtotal=amount,
            subtotal_excluding_tax=amount,
            total=amount,
            total_excluding_tax=amount,
            total_taxes=[],
            type="pre_payment" if is_open else "post_payment",
        )
    )


def _lower(account: Account, invoice: Json, amount: int) -> None:
    """Take `amount` from what is due; a negative one puts it back."""
    due = invoice["amount_due"] - amount
    credited = invoice["pre_payment_credit_notes_amount"] + amount
    invoice.update(amount_due=due, amount_remaining=due, pre_payment_credit_notes_amount=credited)
    intent = invoicing.intent_of(account, invoice)
    if due:
        intent["amount"] = due
        account.emit("invoice.updated", invoice, {"amount_due": due + amount})
    else:
        intent.update(status="canceled", cancellation_reason="abandoned")
        account.emit("payment_intent.canceled", intent)
        invoicing.mark_paid(account, invoice, 0)


def _give_back(account: Account, invoice: Json, made: Json, values: dict[str, Any]) -> None:
    invoice["post_payment_credit_notes_amount"] += made["amount"]
    if values.get("credit_amount"):
        customer = account.at("customer", invoice["customer"])
        account.change(customer, "customer.updated", balance=customer["balance"] - values["credit_amount"])
    if values.get("refund_amount"):
        intent = invoicing.intent_of(account, invoice)
        charge = account.at("charge", intent["latest_charge"])
        paid_back = refund(account, charge, values["refund_amount"], None, {})
        made["refunds"].append({"amount_refunded": paid_back["amount"], "refund": paid_back["id"], "type": "refund"})


@methods.add("POST", "/v1/credit_notes/{}/void", "CreditNoteVoidCreditNoteParams")
def void(account: Account, _values: dict[str, Any], note_id: str) -> Json:
    """Void a credit note of an open invoice."""
    made = account.at("credit_note", note_id)
    invoice = account.at("invoice", made["invoice"])
    if made["status"] != "issued" or invoice["status"] != "open":
        raise refused("Only credit notes of open invoices can be voided.")
    made.update(status="void", voided_at=account.now(made["customer"]))
    _lower(account, invoice, -made["amount"])
    account.emit("credit_note.voided", made)
    return made


methods.add_retrieve("credit_note")
methods.add_list("credit_note", "customer invoice")
