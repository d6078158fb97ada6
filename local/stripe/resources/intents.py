"""Payment intents and setup intents."""

import secrets
from typing import Any

from local.stripe.account import Account
from local.stripe.amounts import check_charge, currency_of
from local.stripe.errors import StripeError, refused
from local.stripe.objects import Json, changes, make
from local.stripe.resources.cards import needs_authentication, refuse_detached, resolve
from local.stripe.resources.customers import attach_to
from local.stripe.resources.payments import pay
from local.stripe.resources.taxes import hooks_of
from local.stripe.routing import Methods

methods = Methods()
_CONFIRM = "payment_method off_session return_url setup_future_usage receipt_email"
_CREATE = (
    "amount currency customer allowed_payment_method_types automatic_payment_methods confirm metadata description"
    " hooks.inputs.tax.calculation"
)


@methods.add("POST", "/v1/payment_intents", "PaymentIntentCreateParams", f"{_CREATE} {_CONFIRM}")
def create(account: Account, values: dict[str, Any]) -> Json:
    """Create a payment intent, and confirm it if asked to."""
    for name in ("off_session", "return_url"):
        if name in values and not values.get("confirm"):
            raise refused(f"The parameter {name} can be given only with confirm=true.", None, name)
    intent = new_intent(account, values)
    if values.get("confirm"):
        return _confirm(account, intent, values)
    return intent


def new_intent(account: Account, values: dict[str, Any]) -> Json:
    """Store and return an intent that waits for its method or confirmation.

    Raises:
        StripeError: The amount is too small, or customer or method are unknown.
    """
    check_charge(values["amount"])
    currency = currency_of(values["currency"])
    customer_id = values.get("customer")
    if customer_id:
        account.get("customer", customer_id, "customer")
    intent = make(
        "payment_intent",
        amount=values["amount"],
        amount_capturable=0,
        amount_received=0,
        automatic_payment_methods=values.get("automatic_payment_methods"),
        capture_method="automatic_async",
        confirmation_method="automatic",
        created=account.now(customer_id),
        currency=currency,
        customer=customer_id,
        description=values.get("description"),
        hooks=hooks_of(account, values),
        metadata=values.get("metadata") or {},
        payment_method_types=values.get("allowed_payment_method_types", ["card"]),
        receipt_email=values.get("receipt_email"),
        setup_future_usage=values.get("setup_future_usage") or None,
        status="requires_payment_method",
    )
    intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(8)}"
    account.add(intent)
    if values.get("payment_method"):
        take_method(account, intent, values["payment_method"])
    account.emit("payment_intent.created", intent)
    return intent


def take_method(account: Account, intent: Json, given: str) -> None:
    """Give an intent the method that it will be paid by.

    Raises:
        StripeError: There is no such method, or it belongs to another customer.
    """
    method = resolve(account, given)
    refuse_detached(account, method)
    if method["customer"] not in (None, intent["customer"]):
        message = "The provided PaymentMethod is attached to another Customer. Detach it first."
        raise refused(message, "payment_method_customer_mismatch", "payment_method")
    intent.update(payment_method=method["id"], status="requires_confirmation")


@methods.add("POST", "/v1/payment_intents/{}/confirm", "PaymentIntentConfirmParams", _CONFIRM)
def confirm(account: Account, values: dict[str, Any], intent_id: str) -> Json:
    """Confirm an intent."""
    return _confirm(account, account.at("payment_intent", intent_id), values)


def _confirm(account: Account, intent: Json, values: dict[str, Any]) -> Json:
    if intent["status"] in ("succeeded", "canceled", "processing"):
        message = f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}."
        raise refused(message, "payment_intent_unexpected_state")
    if values.get("payment_method"):
        take_method(account, intent, values["payment_method"])
    for name in ("setup_future_usage", "receipt_email"):
        if name in values:
            intent[name] = values[name] or None
    if intent["payment_method"] is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise refused(message, "payment_intent_unexpected_state")
    pay(account, intent, off_session=bool(values.get("off_session")))
    if values.get("return_url") and intent["next_action"]:
        intent["next_action"]["redirect_to_url"]["return_url"] = values["return_url"]
    return intent


@methods.add(
    "POST", "/v1/payment_intents/{}", "PaymentIntentUpdateParams", "amount metadata description payment_method"
)
def update(account: Account, values: dict[str, Any], intent_id: str) -> Json:
    """Change an intent that is not paid."""
    intent = account.at("payment_intent", intent_id)
    if set(values) - {"metadata", "description"} and not intent["status"].startswith("requires_"):
        message = f"This PaymentIntent could not be updated because it has a status of {intent['status']}."
        raise refused(message, "payment_intent_unexpected_state")
    if "amount" in values:
        check_charge(values["amount"])
    if values.get("payment_method"):
        take_method(account, intent, values["payment_method"])
    intent.update(changes(intent, values, "amount description"))
    return intent


@methods.add("POST", "/v1/payment_intents/{}/cancel", "PaymentIntentCancelParams", "cancellation_reason")
def cancel(account: Account, values: dict[str, Any], intent_id: str) -> Json:
    """Cancel an intent."""
    intent = account.at("payment_intent", intent_id)
    if any(account.all("checkout.session", payment_intent=intent_id, status="open")):
        message = "You cannot cancel this PaymentIntent because it belongs to a Checkout Session. Expire the session."
        raise refused(message, "payment_intent_unexpected_state")
    if not intent["status"].startswith("requires_"):
        message = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
        raise refused(message, "payment_intent_unexpected_state")
    now = account.now(intent["customer"])
    intent.update(status="canceled", canceled_at=now, cancellation_reason=values.get("cancellation_reason"))
    account.emit("payment_intent.canceled", intent)
    return intent


methods.add_retrieve("payment_intent")
methods.add_list("payment_intent", "customer")


_SETUP = "confirm customer payment_method allowed_payment_method_types usage metadata description return_url"


@methods.add("POST", "/v1/setup_intents", "SetupIntentCreateParams", f"{_SETUP} automatic_payment_methods")
def create_setup(account: Account, values: dict[str, Any]) -> Json:
    """Create a setup intent, and confirm it if asked to."""
    intent = new_setup(account, values)
    return _confirm_setup(account, intent, values) if values.get("confirm") else intent


def new_setup(account: Account, values: dict[str, Any]) -> Json:
    """Store and return a setup intent that waits for its method or confirmation."""
    if "customer" in values:
        account.get("customer", values["customer"], "customer")
    method = resolve(account, values["payment_method"])["id"] if values.get("payment_method") else None
    intent = make(
        "setup_intent",
        created=account.now(values.get("customer")),
        customer=values.get("customer"),
        description=values.get("description"),
        metadata=values.get("metadata") or {},
        payment_method=method,
        payment_method_types=values.get("allowed_payment_method_types", ["card"]),
        status="requires_confirmation" if method else "requires_payment_method",
        usage=values.get("usage", "off_session"),
    )
    intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(8)}"
    account.emit("setup_intent.created", account.add(intent))
    return intent


@methods.add("POST", "/v1/setup_intents/{}/confirm", "SetupIntentConfirmParams", "payment_method return_url")
def confirm_setup(account: Account, values: dict[str, Any], intent_id: str) -> Json:
    """Confirm a setup intent."""
    return _confirm_setup(account, account.at("setup_intent", intent_id), values)


def _confirm_setup(account: Account, intent: Json, values: dict[str, Any]) -> Json:
    if intent["status"] in ("succeeded", "canceled"):
        raise refused(f"The SetupIntent has a status of {intent['status']}.", "setup_intent_unexpected_state")
    if values.get("payment_method"):
        intent["payment_method"] = resolve(account, values["payment_method"])["id"]
    if intent["payment_method"] is None:
        raise refused("The SetupIntent is missing a payment method.", "setup_intent_unexpected_state")
    if needs_authentication(account, intent["payment_method"]):
        url = f"{account.url}/pages/authenticate/{intent['id']}"
        action = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": values.get("return_url")}}
        intent.update(status="requires_action", next_action=action)
        account.emit("setup_intent.requires_action", intent)
        return intent
    complete_setup(account, intent)
    return intent


def complete_setup(account: Account, intent: Json) -> None:
    """Save the method of a setup intent for later payments.

    Raises:
        StripeError: The bank declines it.
    """
    method = account.at("payment_method", intent["payment_method"])
    if intent["customer"]:
        try:
            attach_to(account, method, intent["customer"])
        except StripeError as error:
            intent.update(status="requires_payment_method", payment_method=None, last_setup_error=error.body["error"])
            account.emit("setup_intent.setup_failed", intent)
            raise
    account.set_up.add(method["id"])
    intent.update(status="succeeded", next_action=None)
    account.emit("setup_intent.succeeded", intent)


methods.add_retrieve("setup_intent")
