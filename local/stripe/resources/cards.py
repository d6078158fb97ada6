"""Test payment methods, as https://docs.stripe.com/testing lists them: tokens, numbers, and what they do."""

from dataclasses import dataclass
from typing import Literal

from local.stripe.account import Account
from local.stripe.errors import card_error, missing_object, refused
from local.stripe.objects import Json, make


@dataclass(frozen=True, slots=True)
class TestCard:
    """How a test payment method behaves."""

    __test__ = False

    number: str
    brand: str = "visa"
    decline: tuple[str, str | None, str] | None = None
    """Code, decline code and message of a charge."""
    fails_to_attach: bool = False
    authentication: Literal["never", "unless_set_up", "always"] = "never"
    dispute: str = ""
    """Reason of the dispute that follows a charge; `inquiry` opens an inquiry."""
    refund: Literal["succeeded", "pending", "failed"] = "succeeded"
    kind: Literal["card", "us_bank_account"] = "card"


_DECLINED = "Your card was declined."


def _declined(number: str, code: str, decline_code: str | None, message: str) -> TestCard:
    return TestCard(number, decline=(code, decline_code, message), fails_to_attach=True)


TOKENS: dict[str, TestCard] = {
    "pm_card_visa": TestCard("4242424242424242"),
    "pm_card_mastercard": TestCard("5555555555554444", "mastercard"),
    "pm_card_chargeDeclined": _declined("4000000000000002", "card_declined", "generic_decline", _DECLINED),
    "pm_card_chargeDeclinedInsufficientFunds": _declined(
        "4000000000009995", "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "pm_card_chargeDeclinedExpiredCard": _declined("4000000000000069", "expired_card", None, "Your card has expired."),
    "pm_card_chargeDeclinedIncorrectCvc": _declined(
        "4000000000000127", "incorrect_cvc", None, "Your card's security code is incorrect."
    ),
    "pm_card_chargeDeclinedProcessingError": _declined(
        "4000000000000119", "processing_error", None, "An error occurred while processing your card."
    ),
    "pm_card_chargeCustomerFail": TestCard("4000000000000341", decline=("card_declined", "generic_decline", _DECLINED)),
    "pm_card_authenticationRequiredOnSetup": TestCard("4000002500003155", authentication="unless_set_up"),
    "pm_card_authenticationRequired": TestCard("4000002760003184", authentication="always"),
    "pm_card_authenticationRequiredSetupForOffSession": TestCard("4000003800000446", authentication="unless_set_up"),
    "pm_card_createDispute": TestCard("4000000000000259", dispute="fraudulent"),
    "pm_card_createDisputeProductNotReceived": TestCard("4000000000002685", dispute="product_not_received"),
    "pm_card_createDisputeInquiry": TestCard("4000000000001976", dispute="inquiry"),
    "pm_card_pendingRefund": TestCard("4000000000007726", refund="pending"),
    "pm_card_refundFail": TestCard("4000000000005126", refund="failed"),
    "pm_usBankAccount_success": TestCard("000123456789", kind="us_bank_account"),
}
NUMBERS = {card.number: token for token, card in TOKENS.items()}
SET_UP = {"pm_card_authenticationRequiredSetupForOffSession"}
"""Tokens of cards that have been authenticated for later payments."""
EXPIRY_YEAR = 2034


def from_token(account: Account, token: str, billing: Json | None = None) -> Json:
    """Store and return a new payment method of this token."""
    card = TOKENS[token]
    details: Json = {"address": dict.fromkeys(ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None}
    made = make("payment_method", type=card.kind, billing_details=details | (billing or {}), created=account.now())
    made["metadata"] = {}
    made[card.kind] = _card(card) if card.kind == "card" else _bank_account(card)
    account.behaviours[made["id"]] = token
    if token in SET_UP:
        account.set_up.add(made["id"])
    return account.add(made)


ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def resolve(account: Account, given: str, param: str = "payment_method") -> Json:
    """Return the payment method of an id, or a new one of a test token.

    Raises:
        StripeError: There is none.
    """
    if given in TOKENS:
        return from_token(account, given)
    found = account.find("payment_method", given)
    if found is None:
        raise missing_object("payment_method", given, param)
    return found


def refuse_detached(account: Account, method: Json) -> None:
    """Check that a payment method was never detached. A detached one is not used again.

    Raises:
        StripeError: It was detached.
    """
    if method["id"] in account.detached:
        message = "The provided PaymentMethod was detached from a Customer. It may not be used again."
        raise refused(message, None, "payment_method")


def behaviour(account: Account, method_id: str) -> TestCard:
    """Return how a payment method behaves."""
    return TOKENS[account.behaviours[method_id]]


def needs_authentication(account: Account, method_id: str) -> bool:
    """Return whether a payment by this method asks its owner, as 3-D Secure does."""
    kind = behaviour(account, method_id).authentication
    return kind == "always" or (kind == "unless_set_up" and method_id not in account.set_up)


def refuse_attachment(account: Account, method_id: str) -> None:
    """Check that the method may be attached to a customer.

    Raises:
        StripeError: The bank declines it.
    """
    card = behaviour(account, method_id)
    if card.fails_to_attach and card.decline:
        code, decline_code, message = card.decline
        raise card_error(message, code, decline_code, param="")


def _card(card: TestCard) -> Json:
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "display_brand": card.brand,
        "exp_month": 12,
        "exp_year": EXPIRY_YEAR,
        "fingerprint": f"f{card.number[-8:]}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _bank_account(card: TestCard) -> Json:
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": f"f{card.number[-8:]}",
        "last4": card.number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }
