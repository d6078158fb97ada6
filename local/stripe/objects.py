"""Objects in the shape of the library's classes. Optional fields are null until a method sets them."""

import inspect
import secrets
from functools import cache
from typing import Any, Union, get_args, get_origin

import stripe
import stripe.billing_portal
import stripe.checkout
import stripe.tax
import stripe.test_helpers

Json = dict[str, Any]

CLASSES: dict[str, tuple[str, type[stripe.StripeObject]]] = {
    "balance_transaction": ("txn", stripe.BalanceTransaction),
    "billing_portal.session": ("bps", stripe.billing_portal.Session),
    "charge": ("ch", stripe.Charge),
    "checkout.session": ("cs_test", stripe.checkout.Session),
    "credit_note": ("cn", stripe.CreditNote),
    "credit_note_line_item": ("cnli", stripe.CreditNoteLineItem),
    "customer": ("cus", stripe.Customer),
    "dispute": ("du", stripe.Dispute),
    "event": ("evt", stripe.Event),
    "invoice": ("in", stripe.Invoice),
    "invoice_payment": ("inpay", stripe.InvoicePayment),
    "invoiceitem": ("ii", stripe.InvoiceItem),
    "item": ("li", stripe.LineItem),
    "line_item": ("il", stripe.InvoiceLineItem),
    "payment_intent": ("pi", stripe.PaymentIntent),
    "payment_method": ("pm", stripe.PaymentMethod),
    "price": ("price", stripe.Price),
    "product": ("prod", stripe.Product),
    "refund": ("re", stripe.Refund),
    "setup_intent": ("seti", stripe.SetupIntent),
    "subscription": ("sub", stripe.Subscription),
    "subscription_item": ("si", stripe.SubscriptionItem),
    "tax.association": ("taxa", stripe.tax.Association),
    "tax.calculation": ("taxcalc", stripe.tax.Calculation),
    "tax.calculation_line_item": ("tax_li", stripe.tax.CalculationLineItem),
    "test_helpers.test_clock": ("clock", stripe.test_helpers.TestClock),
    "webhook_endpoint": ("we", stripe.WebhookEndpoint),
}
"""Prefix of ids, and class of the library, by the member `object`."""

OMITTED = {
    "charge": {"refunds"},
    "checkout.session": {"line_items"},
    "customer": {"cash_balance", "sources", "subscriptions", "tax", "tax_ids", "invoice_credit_balance"},
    "invoice": {"payments", "confirmation_secret"},
    "price": {"currency_options", "tiers"},
    "tax.calculation": {"line_items"},
    "webhook_endpoint": {"secret"},
}
"""Fields that appear only on request, or in one answer."""

NOT_NULL_BY_KIND = {"payment_method"}
"""Objects with a member for each kind of thing, of which only the own kind's appears."""


class ShapeError(Exception):
    """The stand-in made an object that the library's class does not describe."""


@cache
def fields(kind: str) -> dict[str, Any]:
    """Return the annotations of an object's fields by name; names of other objects in them are not resolved."""
    own = [base for base in CLASSES[kind][1].__mro__ if base.__module__.startswith("stripe.")]
    hints: dict[str, Any] = {}
    for base in own:
        if base is not stripe.StripeObject:
            hints = {**inspect.get_annotations(base), **hints}
    return {name: hint for name, hint in hints.items() if name[0].islower()}


def make(kind: str, **given: Any) -> Json:
    """Return a new object with an id; fields that may be null and are not given are null.

    Raises:
        ShapeError: A field is unknown, or one that cannot be null is missing.
    """
    declared = fields(kind)
    made: Json = {"id": f"{CLASSES[kind][0]}_{secrets.token_hex(12)}", "object": kind}
    if "livemode" in declared:
        made["livemode"] = False
    made.update(given)
    for name, hint in declared.items():
        if name in made or name == "deleted" or name in OMITTED.get(kind, ()):
            continue
        if not _may_be_null(hint):
            raise ShapeError(f"{kind} needs {name}")
        if kind not in NOT_NULL_BY_KIND or name in ("customer", "customer_account", "metadata"):
            made[name] = None
    unknown = set(made) - set(declared)
    if unknown:
        raise ShapeError(f"{kind} has no {', '.join(sorted(unknown))}")
    return made


def changes(made: Json, values: dict[str, Any], names: str = "") -> Json:
    """Return what an update sets: metadata, and the fields `names` (separated by spaces); an empty text means null."""
    fields = {name: None if values[name] == "" else values[name] for name in names.split() if name in values}
    if "metadata" in values:
        fields["metadata"] = _merged(made["metadata"], values["metadata"])
    return fields


def listing(data: list[Any], url: str, *, has_more: bool = False) -> Json:
    """Return a list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _may_be_null(hint: Any) -> bool:
    return get_origin(hint) is Union and type(None) in get_args(hint)


def _merged(old: dict[str, str] | None, given: Any) -> dict[str, str]:
    """Return metadata after a change: an empty text unsets a key, an empty parameter all."""
    return {} if given == "" else {key: text for key, text in ((old or {}) | given).items() if text != ""}
