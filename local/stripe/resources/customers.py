"""Customers and their payment methods."""

import secrets
from typing import Any

from local.stripe.account import Account
from local.stripe.errors import missing, refused
from local.stripe.listing import include, page
from local.stripe.objects import Json, changes, listing, make
from local.stripe.resources.cards import ADDRESS, refuse_attachment, refuse_detached, resolve
from local.stripe.routing import Methods

methods = Methods()
_TEXTS = "business_name description email individual_name name phone"
_FIELDS = f"{_TEXTS} address preferred_locales tax_exempt metadata"
_DEFAULTS = "invoice_settings.default_payment_method"


@methods.add(
    "POST", "/v1/customers", "CustomerCreateParams", f"{_FIELDS} {_DEFAULTS} payment_method test_clock tax_id_data"
)
def create(account: Account, values: dict[str, Any]) -> Json:
    """Create a customer."""
    clock = values.get("test_clock")
    found = account.get("test_helpers.test_clock", clock, "test_clock") if clock else None
    made = make(
        "customer",
        address=_address(values.get("address")),
        balance=0,
        created=found["frozen_time"] if found else account.now(),
        delinquent=False,
        invoice_prefix=secrets.token_hex(4).upper(),
        invoice_settings=dict.fromkeys(("custom_fields", "default_payment_method", "footer", "rendering_options")),
        metadata=values.get("metadata") or {},
        next_invoice_sequence=1,
        preferred_locales=values.get("preferred_locales", []),
        tax_exempt=values.get("tax_exempt") or "none",
        test_clock=clock,
        **{name: values[name] or None for name in _TEXTS.split() if name in values},
    )
    account.add(made)
    if "payment_method" in values:
        attach_to(account, resolve(account, values["payment_method"]), made["id"])
    _set_default(account, made, values)
    account.emit("customer.created", made)
    return made


@methods.add("POST", "/v1/customers/{}", "CustomerUpdateParams", f"{_FIELDS} {_DEFAULTS}")
def update(account: Account, values: dict[str, Any], customer_id: str) -> Json:
    """Change a customer."""
    made = account.at("customer", customer_id)
    fields = changes(made, values, _TEXTS)
    if "tax_exempt" in values:
        fields["tax_exempt"] = values["tax_exempt"] or "none"
    if "address" in values:
        fields["address"] = _address(values["address"])
    if "preferred_locales" in values:
        fields["preferred_locales"] = values["preferred_locales"]
    before = dict(made["invoice_settings"])
    _set_default(account, made, values)
    changed = {name: made[name] for name in fields if made[name] != fields[name]}
    if before != made["invoice_settings"]:
        default = "default_payment_method"
        changed["invoice_settings"] = {default: before[default]}
    made.update(fields)
    if changed:
        account.emit("customer.updated", made, changed)
    return made


@methods.add("GET", "/v1/customers/{}", "CustomerRetrieveParams")
def retrieve(account: Account, _values: dict[str, Any], customer_id: str) -> Json:
    """Return a customer, or the mark of its deletion."""
    return account.find("customer", customer_id) or account.at("customer", customer_id)


methods.add_list("customer", "email test_clock")
methods.add_retrieve("payment_method")


@methods.add("POST", "/v1/payment_methods/{}/attach", "PaymentMethodAttachParams", "customer")
def attach(account: Account, values: dict[str, Any], method_id: str) -> Json:
    """Attach a payment method to a customer."""
    if "customer" not in values:
        raise missing("customer")
    return attach_to(account, resolve(account, method_id), values["customer"])


@methods.add("POST", "/v1/payment_methods/{}", "PaymentMethodUpdateParams", "card.exp_month card.exp_year metadata")
def update_method(account: Account, values: dict[str, Any], method_id: str) -> Json:
    """Change the date until which a card is valid."""
    made = account.at("payment_method", method_id)
    made.update(changes(made, values))
    if made["card"]:
        made["card"].update(values.get("card") or {})
    account.emit("payment_method.updated", made)
    return made


@methods.add("POST", "/v1/payment_methods/{}/detach", "PaymentMethodDetachParams")
def detach(account: Account, _values: dict[str, Any], method_id: str) -> Json:
    """Detach a payment method for ever, also as the default of its customer."""
    method = account.at("payment_method", method_id)
    customer = account.find("customer", method["customer"])
    if customer is None:
        raise refused("The payment method you provided is not attached to a customer so detachment is impossible.")
    account.detached.add(method_id)
    account.change(method, None, customer=None)
    account.emit("payment_method.detached", method, {"customer": customer["id"]})
    if customer["invoice_settings"]["default_payment_method"] == method_id:
        customer["invoice_settings"]["default_payment_method"] = None
        account.emit("customer.updated", customer, {"invoice_settings": {"default_payment_method": method_id}})
    return method


@methods.add(
    "GET",
    "/v1/customers/{}/payment_methods",
    "CustomerPaymentMethodListParams",
    "type limit starting_after ending_before",
)
def list_of_customer(account: Account, values: dict[str, Any], customer_id: str) -> Json:
    """List the payment methods of a customer."""
    account.at("customer", customer_id)
    having = {"type": values["type"]} if "type" in values else {}
    found = account.all("payment_method", customer=customer_id, **having)
    return page(found, values, f"/v1/customers/{customer_id}/payment_methods")


methods.add_list("payment_method", "customer type")


@include("customer", "subscriptions")
def _subscriptions(account: Account, customer: Json) -> Json:
    found = [each for each in account.all("subscription", customer=customer["id"]) if each["status"] != "canceled"]
    return listing(found, f"/v1/customers/{customer['id']}/subscriptions")


def attach_to(account: Account, method: Json, customer_id: str) -> Json:
    """Attach a method to a customer.

    Raises:
        StripeError: The bank declines it, or it belongs to another customer.
    """
    account.get("customer", customer_id, "customer")
    if method["customer"] not in (None, customer_id):
        raise refused("The payment method you provided has already been attached to a customer.")
    refuse_detached(account, method)
    refuse_attachment(account, method["id"])
    if method["customer"] is None:
        method["customer"] = customer_id
        account.emit("payment_method.attached", method)
    return method


def _address(given: Any) -> Json | None:
    return {name: given.get(name) or None for name in ADDRESS} if given else None


def _set_default(account: Account, customer: Json, values: dict[str, Any]) -> None:
    method_id = values.get("invoice_settings", {}).get("default_payment_method")
    if method_id:
        method = account.get("payment_method", method_id, "invoice_settings[default_payment_method]")
        if method["customer"] != customer["id"]:
            message = f"The customer does not have a payment method with the ID {method_id}."
            raise refused(message, "resource_missing", "invoice_settings[default_payment_method]")
        customer["invoice_settings"]["default_payment_method"] = method_id
