"""How a payment intent becomes paid: authentication, the bank's answer, the charge. Rules only, no methods."""

from collections.abc import Callable

from local.stripe.account import Account
from local.stripe.errors import StripeError, card_error
from local.stripe.objects import Json, make
from local.stripe.resources.cards import TestCard, behaviour, needs_authentication
from local.stripe.resources.charges import entry, open_dispute
from local.stripe.resources.taxes import record

Listener = Callable[[Account, Json], None]
OUTCOMES = {
    "failed": {"network_status": "declined_by_network", "type": "issuer_declined"},
    "pending": {"network_status": "approved_by_network", "type": "authorized"},
    "succeeded": {"network_status": "approved_by_network", "type": "authorized"},
}
LISTENERS: list[Listener] = []
"""Called with an intent when it is paid, has failed, or asks its payer: invoices and checkout sessions follow it."""


def listen(listener: Listener) -> Listener:
    """Register the function beneath."""
    LISTENERS.append(listener)
    return listener


def pay(account: Account, intent: Json, *, off_session: bool, authenticated: bool = False) -> None:
    """Try to collect an intent by its payment method.

    Raises:
        StripeError: The bank declines, or asks for a payer who is not there. The intent says so, too.
    """
    method_id = intent["payment_method"]
    card = behaviour(account, method_id)
    if needs_authentication(account, method_id) and not authenticated:
        if off_session:
            message = "Your card was declined. This transaction requires authentication."
            raise fail(account, intent, ("authentication_required", "authentication_required", message))
        _ask(account, intent)
    elif card.decline:
        raise fail(account, intent, card.decline)
    elif card.kind == "us_bank_account":
        _begin_debit(account, intent)
    else:
        _succeed(account, intent, card)


def fail(account: Account, intent: Json, decline: tuple[str, str | None, str]) -> StripeError:
    """Let an attempt fail, and return the error of the method that attempted it."""
    code, decline_code, message = decline
    method = account.at("payment_method", intent["payment_method"])
    charge = _charge(account, intent, status="failed", failure_code=code, failure_message=message)
    error = {"type": "card_error", "code": code, "message": message, "payment_method": method, "charge": charge["id"]}
    error |= {"decline_code": decline_code} if decline_code else {}
    error["doc_url"] = f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"
    intent.update(status="requires_payment_method", last_payment_error=error, next_action=None)
    intent.update(payment_method=None, latest_charge=charge["id"])
    account.emit("charge.failed", charge)
    account.emit("payment_intent.payment_failed", intent)
    _tell(account, intent)
    extra = {"payment_intent": intent, "payment_method": method, "charge": charge["id"]}
    return card_error(message, code, decline_code, **extra)


def settle_debit(account: Account, intent: Json, *, paid: bool) -> None:
    """End a bank debit that is on its way."""
    charge = account.at("charge", intent["latest_charge"])
    if paid:
        charge.update(status="succeeded", paid=True, balance_transaction=_entry(account, charge))
        _conclude(account, intent, charge)
        return
    message = "The customer's bank account could not be located."
    charge.update(status="failed", failure_code="no_account", failure_message=message)
    error = {"type": "card_error", "code": "payment_method_provider_decline", "message": message}
    intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error)
    account.emit("charge.failed", charge)
    account.emit("payment_intent.payment_failed", intent)
    _tell(account, intent)


def _ask(account: Account, intent: Json) -> None:
    url = f"{account.url}/pages/authenticate/{intent['id']}"
    action = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": None}}
    intent.update(status="requires_action", next_action=action)
    account.emit("payment_intent.requires_action", intent)
    _tell(account, intent)


def _begin_debit(account: Account, intent: Json) -> None:
    charge = _charge(account, intent, status="pending")
    intent.update(status="processing", latest_charge=charge["id"], last_payment_error=None, next_action=None)
    account.emit("charge.pending", charge)
    account.emit("payment_intent.processing", intent)
    _tell(account, intent)


def _succeed(account: Account, intent: Json, card: TestCard) -> None:
    charge = _charge(account, intent, status="succeeded", paid=True)
    charge["balance_transaction"] = _entry(account, charge)
    if intent["setup_future_usage"] == "off_session":
        account.set_up.add(intent["payment_method"])
    _conclude(account, intent, charge)
    if card.dispute:
        open_dispute(account, charge, charge["amount"], card.dispute)


def _conclude(account: Account, intent: Json, charge: Json) -> None:
    method = account.at("payment_method", intent["payment_method"])
    if intent["setup_future_usage"] and intent["customer"] and method["customer"] is None:
        method["customer"] = intent["customer"]
        account.emit("payment_method.attached", method)
    intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])
    intent.update(last_payment_error=None, next_action=None)
    record(account, intent, intent["id"])
    account.emit("charge.succeeded", charge)
    account.emit("payment_intent.succeeded", intent)
    _tell(account, intent)


def _tell(account: Account, intent: Json) -> None:
    for listener in LISTENERS:
        listener(account, intent)


def _entry(account: Account, charge: Json) -> str:
    fee = (charge["amount"] * 29 + 500) // 1000 + 30
    return entry(account, "charge", charge, charge["amount"], fee)["id"]


def _charge(account: Account, intent: Json, *, status: str, paid: bool = False, **failure: str) -> Json:
    method = account.at("payment_method", intent["payment_method"])
    captured = status == "succeeded"
    return account.add(
        make(
            "charge",
            amount=intent["amount"],
            amount_captured=intent["amount"] if captured else 0,
            amount_refunded=0,
            billing_details=method["billing_details"],
            captured=captured,
            created=account.now(intent["customer"]),
            currency=intent["currency"],
            customer=intent["customer"],
            description=intent["description"],
            disputed=False,
            metadata=dict(intent["metadata"]),
            outcome=OUTCOMES[status],
            paid=paid,
            payment_intent=intent["id"],
            payment_method=method["id"],
            payment_method_details={"type": method["type"], method["type"]: _details(method)},
            receipt_email=intent["receipt_email"],
            receipt_url=f"{account.url}/pages/receipts/{intent['id']}",
            refunded=False,
            status=status,
            **failure,
        )
    )


def _details(method: Json) -> Json:
    names = {
        "card": ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet"),
        "us_bank_account": (
            "account_holder_type",
            "account_type",
            "bank_name",
            "fingerprint",
            "last4",
            "routing_number",
        ),
    }
    details = {name: method[method["type"]][name] for name in names[method["type"]]}
    return details | ({"network": details["brand"]} if method["type"] == "card" else {"mandate": None})
