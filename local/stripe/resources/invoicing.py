"""How an invoice becomes final and paid. Rules only, no methods."""

from collections.abc import Callable, Iterable

from local.stripe.account import Account
from local.stripe.errors import StripeError, refused
from local.stripe.objects import Json, listing, make
from local.stripe.resources import taxes
from local.stripe.resources.intents import new_intent, take_method
from local.stripe.resources.payments import listen, pay

Listener = Callable[[Account, Json], None]
LISTENERS: list[Listener] = []
"""Called with an invoice that was paid, or whose payment failed: subscriptions follow it."""


def new_invoice(account: Account, customer: Json, currency: str, **fields: object) -> Json:
    """Store and return a draft without lines."""
    now = account.now(customer["id"])
    usual: Json = {"auto_advance": False, "billing_reason": "manual", "collection_method": "charge_automatically"}
    usual |= {"metadata": Json(), "period_end": now, "period_start": now}
    usual["automatic_tax"] = {"enabled": False, **dict.fromkeys(("disabled_reason", "liability", "provider", "status"))}
    given = usual | fields
    made = make(
        "invoice",
        account_country="US",
        amount_due=0,
        amount_overpaid=0,
        amount_paid=0,
        amount_remaining=0,
        amount_shipping=0,
        attempt_count=0,
        attempted=False,
        created=now,
        currency=currency,
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        customer_tax_exempt=customer["tax_exempt"],
        customer_tax_ids=[],
        default_tax_rates=[],
        discounts=[],
        issuer={"type": "self"},
        lines=listing([], ""),
        payment_settings=dict.fromkeys(("default_mandate", "payment_method_options", "payment_method_types")),
        post_payment_credit_notes_amount=0,
        pre_payment_credit_notes_amount=0,
        starting_balance=0,
        status="draft",
        status_transitions=dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
        subtotal=0,
        test_clock=customer["test_clock"],
        total=0,
        total_discount_amounts=[],
        total_pretax_credit_amounts=[],
        total_taxes=[],
        **given,
    )
    made["lines"]["url"] = f"/v1/invoices/{made['id']}/lines"
    return account.add(made)


def add_line(account: Account, invoice: Json, amount: int, description: str | None, **fields: object) -> Json:
    """Store and return a line of a draft, and count the draft's sums again."""
    given: Json = {
        "metadata": {},
        "parent": None,
        "period": {"start": invoice["period_start"], "end": invoice["period_end"]},
        "pricing": None,
        "quantity": 1,
    } | fields
    line = make(
        "line_item",
        amount=amount,
        currency=invoice["currency"],
        description=description,
        discount_amounts=[],
        discountable=True,
        discounts=[],
        invoice=invoice["id"],
        pretax_credit_amounts=[],
        quantity_decimal=str(given["quantity"]),
        subtotal=amount,
        taxes=_taxes(account, invoice, amount),
        **given,
    )
    invoice["lines"]["data"].append(account.add(line))
    recount(invoice)
    return line


def take_items(account: Account, invoice: Json, items: Iterable[Json]) -> None:
    """Put invoice items onto a draft."""
    for item in items:
        item["invoice"] = invoice["id"]
        add_item_line(account, invoice, item)


def add_item_line(account: Account, invoice: Json, item: Json) -> None:
    """Add the line of an invoice item."""
    details = {"invoice_item": item["id"], "proration": item["proration"], "subscription": None}
    details["proration_details"] = item["proration_details"]
    parent: Json = {"type": "invoice_item_details", "invoice_item_details": details}
    parent["subscription_item_details"] = None
    shared = {name: item[name] for name in ("metadata", "period", "pricing", "quantity")}
    add_line(account, invoice, item["amount"], item["description"], parent=parent, **shared)


def recount(invoice: Json) -> None:
    """Count the sums of a draft again."""
    lines = invoice["lines"]["data"]
    net, taxed = sum(line["amount"] for line in lines), [tax for line in lines for tax in line["taxes"]]
    total = net + sum(each["amount"] for each in taxed)
    due = max(0, total)
    invoice.update(subtotal=net, subtotal_excluding_tax=net, total=total, total_excluding_tax=net)
    invoice.update(amount_due=due, amount_remaining=due, total_taxes=_summed(taxed))


def _taxes(account: Account, invoice: Json, amount: int) -> list[Json]:
    """Return the tax on a line of an invoice; none without automatic tax."""
    if not invoice["automatic_tax"]["enabled"]:
        return []
    rate, reason = taxes.customer_rate(account.at("customer", invoice["customer"]))
    tax: Json = {"amount": taxes.tax_on(amount, rate), "tax_behavior": "exclusive", "taxability_reason": reason}
    tax |= {"taxable_amount": amount, "type": "tax_rate_details"}
    return [tax | {"tax_rate_details": {"tax_rate": f"txr_stand_in_{rate}"}}]


def _summed(taxed: list[Json]) -> list[Json]:
    """Return one entry for each rate."""
    by_rate: dict[str, Json] = {}
    for each in taxed:
        entry = by_rate.setdefault(each["tax_rate_details"]["tax_rate"], {**each, "amount": 0, "taxable_amount": 0})
        entry.update({name: entry[name] + each[name] for name in ("amount", "taxable_amount")})
    return list(by_rate.values())


def finalize(account: Account, invoice: Json) -> None:
    """Give a draft its number and a payment intent; one without an amount is paid at once.

    Credit on the customer's balance is used first. A negative total becomes such credit.

    Raises:
        StripeError: It is no draft.
    """
    if invoice["status"] != "draft":
        raise refused(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.", "invoice_not_editable"
        )
    customer = account.at("customer", invoice["customer"])
    number = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] = number + 1
    now = account.now(customer["id"])
    page = f"{account.url}/pages/invoices/{invoice['id']}"
    invoice["status_transitions"]["finalized_at"] = now
    invoice.update(status="open", number=f"{customer['invoice_prefix']}-{number:04d}", effective_at=now)
    invoice.update(hosted_invoice_url=page)
    apply_balance(invoice, customer)
    account.change(customer, "customer.updated", balance=invoice["ending_balance"])
    account.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        mark_paid(account, invoice, 0)
        return
    wanted = {"amount": invoice["amount_due"], "currency": invoice["currency"], "customer": customer["id"]}
    intent = new_intent(account, wanted | {"metadata": {}, "setup_future_usage": "off_session"})
    account.add(
        make(
            "invoice_payment",
            amount_requested=invoice["amount_due"],
            created=now,
            currency=invoice["currency"],
            invoice=invoice["id"],
            is_default=True,
            payment={"type": "payment_intent", "payment_intent": intent["id"]},
            status="open",
            status_transitions={"canceled_at": None, "paid_at": None},
        )
    )


def apply_balance(invoice: Json, customer: Json) -> None:
    """Count what is due after the credit on the customer's balance, which is negative."""
    owed = invoice["total"] + customer["balance"]
    invoice.update(starting_balance=customer["balance"], ending_balance=min(0, owed))
    invoice.update(amount_due=max(0, owed), amount_remaining=max(0, owed))


def collect(account: Account, invoice: Json, method_id: str | None = None) -> None:
    """Pay an open invoice by a method, else by its default one.

    Raises:
        StripeError: It cannot be paid, the bank declines, or the payer must authenticate.
    """
    if invoice["status"] == "paid":
        raise refused("Invoice is already paid", "invoice_already_paid")
    if invoice["status"] != "open":
        raise refused(f"The invoice has the status {invoice['status']} and cannot be paid.", "invoice_not_editable")
    method = method_id or default_method(account, invoice)
    if method is None:
        message = "There is no default_payment_method set on this Customer or Invoice."
        raise refused(message, "resource_missing", "payment_method", status=402)
    intent = intent_of(account, invoice)
    take_method(account, intent, method)
    invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1)
    pay(account, intent, off_session=False)
    if intent["status"] == "requires_action":
        message = "This payment requires additional user action before it can be completed successfully."
        code = "invoice_payment_intent_requires_action"
        raise StripeError(402, "card_error", message, code=code, payment_intent=intent)


def default_method(account: Account, invoice: Json) -> str | None:
    """Return the method that pays an invoice when none is named."""
    subscription = account.find("subscription", subscription_of(invoice))
    customer = account.at("customer", invoice["customer"])
    by_subscription = subscription["default_payment_method"] if subscription else None
    chosen = invoice["default_payment_method"] or by_subscription
    return chosen or customer["invoice_settings"]["default_payment_method"]


def subscription_of(invoice: Json) -> str | None:
    """Return the id of the subscription that an invoice is for."""
    parent = invoice["parent"]
    return parent["subscription_details"]["subscription"] if parent and parent["subscription_details"] else None


def payment_of(account: Account, invoice: Json) -> Json | None:
    """Return the payment of a final invoice."""
    return next(account.all("invoice_payment", invoice=invoice["id"]), None)


def intent_of(account: Account, invoice: Json) -> Json:
    """Return the payment intent of an open invoice."""
    payment = payment_of(account, invoice)
    return account.at("payment_intent", payment["payment"]["payment_intent"] if payment else "")


def void(account: Account, invoice: Json, status: str, event: str) -> None:
    """End an open invoice without a payment, as `void` or `uncollectible`."""
    if invoice["status"] not in ("open", "uncollectible"):
        raise refused(f"The invoice has the status {invoice['status']}.", "invoice_not_editable")
    payment = payment_of(account, invoice)
    if payment and status == "void":
        payment["status"] = "canceled"
        intent = intent_of(account, invoice)
        intent.update(status="canceled", cancellation_reason="void_invoice")
        account.emit("payment_intent.canceled", intent)
    if status == "void":
        customer = account.at("customer", invoice["customer"])
        returned = invoice["starting_balance"] - invoice["ending_balance"]
        account.change(customer, "customer.updated", balance=customer["balance"] + returned)
    stamp = "voided_at" if status == "void" else "marked_uncollectible_at"
    invoice["status_transitions"][stamp] = account.now(invoice["customer"])
    invoice["status"] = status
    account.emit(event, invoice)


@listen
def _follow(account: Account, intent: Json) -> None:
    payment = next(
        (each for each in account.all("invoice_payment") if each["payment"]["payment_intent"] == intent["id"]), None
    )
    if payment is None:
        return
    invoice = account.at("invoice", payment["invoice"])
    if intent["status"] == "succeeded":
        payment.update(status="paid", amount_paid=intent["amount"])
        payment["status_transitions"]["paid_at"] = account.now(invoice["customer"])
        mark_paid(account, invoice, intent["amount"])
        account.emit("invoice_payment.paid", payment)
    elif intent["status"] == "requires_payment_method":
        account.emit("invoice.payment_failed", invoice)
        _tell(account, invoice)
    elif intent["status"] == "requires_action":
        account.emit("invoice.payment_action_required", invoice)


def mark_paid(account: Account, invoice: Json, amount: int) -> None:
    """Record that an invoice is paid, by a payment of `amount` or without one."""
    invoice["status_transitions"]["paid_at"] = account.now(invoice["customer"])
    invoice.update(status="paid", attempted=True, amount_paid=amount, amount_remaining=0, next_payment_attempt=None)
    account.emit("invoice.paid", invoice)
    account.emit("invoice.payment_succeeded", invoice)
    _tell(account, invoice)


def _tell(account: Account, invoice: Json) -> None:
    for listener in LISTENERS:
        listener(account, invoice)


def secret_of(account: Account, invoice: Json) -> Json | None:
    """Return the secret by which a browser pays an open invoice."""
    if invoice["status"] != "open":
        return None
    intent = intent_of(account, invoice)
    return {"client_secret": intent["client_secret"], "type": "payment_intent"}
