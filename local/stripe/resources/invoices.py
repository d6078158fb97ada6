"""Invoices, their items and payments."""

from typing import Any

from local.stripe.account import Account
from local.stripe.errors import missing, refused
from local.stripe.listing import include, page
from local.stripe.objects import Json, changes, listing, make
from local.stripe.resources import invoicing
from local.stripe.resources.products import price_of
from local.stripe.routing import Methods

methods = Methods()
_CREATE = (
    "auto_advance collection_method currency customer default_payment_method description metadata"
    " pending_invoice_items_behavior days_until_due footer"
)


@methods.add("POST", "/v1/invoices", "InvoiceCreateParams", _CREATE)
def create(account: Account, values: dict[str, Any]) -> Json:
    """Create a draft."""
    if "customer" not in values:
        raise missing("customer")
    customer = account.get("customer", values["customer"], "customer")
    if values.get("default_payment_method"):
        account.get("payment_method", values["default_payment_method"], "default_payment_method")
    plain = ("auto_advance", "collection_method", "default_payment_method", "description", "footer")
    chosen = {name: values[name] for name in plain if name in values}
    chosen["metadata"] = values.get("metadata") or {}
    if "days_until_due" in values:
        chosen["due_date"] = account.now(customer["id"]) + values["days_until_due"] * 86400
    made = invoicing.new_invoice(account, customer, values.get("currency", "usd").lower(), **chosen)
    if values.get("pending_invoice_items_behavior") == "include":
        pending = account.all("invoiceitem", customer=customer["id"], invoice=None, currency=made["currency"])
        invoicing.take_items(account, made, list(pending)[::-1])
    account.emit("invoice.created", made)
    return made


@methods.add(
    "POST", "/v1/invoices/{}", "InvoiceUpdateParams", "auto_advance description metadata default_payment_method"
)
def update(account: Account, values: dict[str, Any], invoice_id: str) -> Json:
    """Change an invoice."""
    made = account.at("invoice", invoice_id)
    fields = changes(made, values, "auto_advance description default_payment_method")
    return account.change(made, "invoice.updated", **fields)


methods.add_retrieve("invoice")
methods.add_list(
    "invoice",
    "customer status collection_method",
    also="subscription",
    fits=lambda made, values: values.get("subscription") in (None, invoicing.subscription_of(made)),
)


@methods.add("DELETE", "/v1/invoices/{}", "InvoiceDeleteParams")
def delete(account: Account, _values: dict[str, Any], invoice_id: str) -> Json:
    """Delete a draft; its items wait for another invoice."""
    made = account.at("invoice", invoice_id)
    if made["status"] != "draft":
        raise refused("You can only delete draft invoices.", "invoice_not_editable")
    for item in account.all("invoiceitem", invoice=invoice_id):
        item["invoice"] = None
    account.emit("invoice.deleted", made)
    return account.delete(made)


@methods.add("GET", "/v1/invoices/{}/lines", "InvoiceLineItemListParams", "limit starting_after ending_before")
def list_lines(account: Account, values: dict[str, Any], invoice_id: str) -> Json:
    """List the lines of an invoice."""
    made = account.at("invoice", invoice_id)
    return page(made["lines"]["data"], values, made["lines"]["url"])


@methods.add("POST", "/v1/invoices/{}/finalize", "InvoiceFinalizeInvoiceParams", "auto_advance")
def finalize(account: Account, values: dict[str, Any], invoice_id: str) -> Json:
    """Make a draft final."""
    made = account.at("invoice", invoice_id)
    made["auto_advance"] = values.get("auto_advance", made["auto_advance"])
    invoicing.finalize(account, made)
    return made


@methods.add("POST", "/v1/invoices/{}/pay", "InvoicePayParams", "payment_method off_session")
def pay(account: Account, values: dict[str, Any], invoice_id: str) -> Json:
    """Pay an invoice; a draft is made final first."""
    made = account.at("invoice", invoice_id)
    if made["status"] == "draft":
        invoicing.finalize(account, made)
    invoicing.collect(account, made, values.get("payment_method"))
    return made


@methods.add("POST", "/v1/invoices/{}/void", "InvoiceVoidInvoiceParams")
def void(account: Account, _values: dict[str, Any], invoice_id: str) -> Json:
    """Void a final invoice."""
    made = account.at("invoice", invoice_id)
    invoicing.void(account, made, "void", "invoice.voided")
    return made


@methods.add("POST", "/v1/invoices/{}/mark_uncollectible", "InvoiceMarkUncollectibleParams")
def mark_uncollectible(account: Account, _values: dict[str, Any], invoice_id: str) -> Json:
    """Give up an open invoice."""
    made = account.at("invoice", invoice_id)
    invoicing.void(account, made, "uncollectible", "invoice.marked_uncollectible")
    return made


_ITEM = "amount currency customer description invoice metadata quantity pricing.price price_data"


@methods.add("POST", "/v1/invoiceitems", "InvoiceItemCreateParams", _ITEM)
def create_item(account: Account, values: dict[str, Any]) -> Json:
    """Create an item, on a draft or waiting for one."""
    if "customer" not in values:
        raise missing("customer")
    customer = account.get("customer", values["customer"], "customer")
    invoice = account.get("invoice", values["invoice"], "invoice") if "invoice" in values else None
    if invoice and invoice["status"] != "draft":
        raise refused("This invoice is no longer editable", "invoice_not_editable", "invoice")
    amount, pricing, currency = _amount(account, values)
    if invoice and invoice["currency"] != currency:
        raise refused(f"The invoice is in {invoice['currency']}, the item in {currency}.", None, "currency")
    chosen = {name: values[name] for name in ("description", "quantity") if name in values}
    chosen["metadata"] = values.get("metadata") or {}
    made = new_item(account, customer, amount, currency, pricing=pricing, **chosen)
    if invoice:
        invoicing.take_items(account, invoice, [made])
    account.emit("invoiceitem.created", made)
    return made


def new_item(account: Account, customer: Json, amount: int, currency: str, **fields: Any) -> Json:
    """Store and return an item that waits for an invoice; `amount` in minor units."""
    now = account.now(customer["id"])
    usual: Json = {"metadata": {}, "proration": False, "quantity": 1, "period": {"start": now, "end": now}}
    given = usual | fields
    return account.add(
        make(
            "invoiceitem",
            amount=amount,
            currency=currency,
            customer=customer["id"],
            date=now,
            discountable=True,
            discounts=[],
            net_amount=amount,
            quantity_decimal=str(given["quantity"]),
            tax_rates=[],
            test_clock=customer["test_clock"],
            **given,
        )
    )


methods.add_retrieve("invoiceitem")
methods.add_list(
    "invoiceitem",
    "customer invoice",
    also="pending",
    fits=lambda made, values: values.get("pending") in (None, made["invoice"] is None),
)


def _pays(payment: Json, values: dict[str, Any]) -> bool:
    """Return whether it is the payment of the given intent."""
    return values.get("payment", {}).get("payment_intent") in (None, payment["payment"]["payment_intent"])


methods.add_retrieve("invoice_payment")
methods.add_list("invoice_payment", "invoice status", also="payment", fits=_pays)


@include("invoice", "payments")
def _payments(account: Account, invoice: Json) -> Json:
    return listing(list(account.all("invoice_payment", invoice=invoice["id"])), "/v1/invoice_payments")


@include("invoice", "confirmation_secret")
def _secret(account: Account, invoice: Json) -> Json | None:
    return invoicing.secret_of(account, invoice)


def _amount(account: Account, values: dict[str, Any]) -> tuple[int, Json | None, str]:
    quantity = values.get("quantity", 1)
    if "amount" in values:
        if "currency" not in values:
            raise missing("currency")
        return values["amount"], None, values["currency"].lower()
    line = {"price": values["pricing"]["price"]} if "pricing" in values else values
    price = price_of(account, {name: line[name] for name in ("price", "price_data") if name in line}, "pricing")
    details = {"price": price["id"], "product": price["product"]}
    pricing = {"type": "price_details", "price_details": details, "unit_amount_decimal": price["unit_amount_decimal"]}
    return price["unit_amount"] * quantity, pricing, price["currency"]
