"""Stripe Tax: rates by country, calculations, and what Stripe records of them (https://docs.stripe.com/tax)."""

import secrets
from typing import Any

from local.stripe.account import Account
from local.stripe.errors import invalid, lacking, missing, refused
from local.stripe.listing import include
from local.stripe.objects import Json, listing, make
from local.stripe.routing import Methods

methods = Methods()
RATES = {"AT": 2000, "DE": 1900, "FR": 2000, "GB": 2000, "IE": 2300, "NL": 2100}
"""Standard rates in hundredths of a percent, of countries in which the account is registered. Others have no tax."""
COUNTRIES = frozenset(
    {*RATES, "AU", "BR", "CA", "CH", "CN", "ES", "IN", "IT", "JP", "KR", "NO", "PL", "SE", "SG", "US"}
)
"""Countries that the stand-in knows."""
LOCATION = "customer_tax_location_invalid"
"""Stripe's code of an address that is not enough."""
LIFETIME = 90 * 86400
"""Seconds after which a calculation expires."""
PRESET_CODE = "txcd_10000000"
"""The account's preset tax code: electronically supplied services."""


# ----------------------------------------------------------------------------------------- rules


def is_enough(address: Json | None) -> bool:
    """Tell whether an address tells where tax is due (https://docs.stripe.com/tax/customer-locations)."""
    given = address or {}
    country = given.get("country")
    if country == "US":
        return bool(given.get("postal_code"))
    if country == "CA":
        return bool(given.get("postal_code") or given.get("state"))
    return country in COUNTRIES


def check_address(address: Json | None, param: str = "automatic_tax") -> None:
    """Check that an address tells where tax is due; raises StripeError."""
    if not is_enough(address):
        message = (
            "The customer's location isn't recognized. Set a valid customer address in order to automatically "
            "calculate tax."
        )
        raise refused(message, LOCATION, param)


def check_behaviour(account: Account, price: Json, param: str) -> None:
    """Check that tax is added to a price; raises StripeError if neither the price nor the account tells.

    Raises 501 for prices that include their tax.
    """
    behaviour = price["tax_behavior"]
    if behaviour == "unspecified":
        behaviour = account.tax_behaviour
    if behaviour is None:
        message = f"The price {price['id']} needs a `tax_behavior` (or the account a default one) for automatic tax."
        raise refused(message, None, param)
    if behaviour != "exclusive":
        raise lacking("prices that include tax")


def rate_of(address: Json | None, tax_exempt: str | None = None) -> int:
    """Return the rate for an address that is enough, in hundredths of a percent."""
    if tax_exempt in ("exempt", "reverse"):
        return 0
    return RATES.get((address or {}).get("country") or "", 0)


def tax_on(amount: int, rate: int) -> int:
    """Return the tax on an amount of a line, in whole minor units, a half away from zero."""
    tax = (abs(amount) * rate + 5000) // 10000
    return tax if amount >= 0 else -tax


def reason_of(rate: int, tax_exempt: str) -> str:
    """Return Stripe's word for the rate."""
    if tax_exempt in ("exempt", "reverse"):
        return "customer_exempt" if tax_exempt == "exempt" else "reverse_charge"
    return "standard_rated" if rate else "not_collecting"


def customer_rate(customer: Json) -> tuple[int, str]:
    """Return the rate of a customer whose address is enough, and Stripe's word for it."""
    exempt = customer["tax_exempt"]
    rate = rate_of(customer["address"], exempt)
    return rate, reason_of(rate, exempt)


# ----------------------------------------------------------------------------------------- calculations

_CALCULATION = "currency customer line_items.amount line_items.quantity line_items.reference line_items.tax_behavior"


@methods.add("POST", "/v1/tax/calculations", "tax.CalculationCreateParams", _CALCULATION)
def calculate(account: Account, values: dict[str, Any]) -> Json:
    """Compute the tax on lines by the address of a customer."""
    if "customer" not in values:
        raise missing("customer_details")
    customer = account.get("customer", values["customer"], "customer")
    _check_lines(values["line_items"])
    check_address(customer["address"], "customer")
    rate, reason = customer_rate(customer)
    made = make(
        "tax.calculation",
        amount_total=0,
        currency=values["currency"].lower(),
        customer=customer["id"],
        customer_details={
            "address": customer["address"],
            "address_source": "billing",
            "ip_address": None,
            "tax_ids": [],
            "taxability_override": "none",
        },
        expires_at=account.now(customer["id"]) + LIFETIME,
        tax_amount_exclusive=0,
        tax_amount_inclusive=0,
        tax_breakdown=[],
        tax_date=account.now(customer["id"]),
    )
    lines = [_line(line, index, rate) for index, line in enumerate(values["line_items"])]
    net, tax = sum(each["amount"] for each in lines), sum(each["amount_tax"] for each in lines)
    country = customer["address"]["country"]
    details = {"country": country, "flat_amount": None, "percentage_decimal": _percent(rate)}
    details |= {"rate_type": "percentage" if rate else None, "state": None, "tax_type": "vat" if rate else None}
    breakdown = {"amount": tax, "inclusive": False, "tax_rate_details": details, "taxability_reason": reason}
    made.update(amount_total=net + tax, tax_amount_exclusive=tax, tax_breakdown=[breakdown | {"taxable_amount": net}])
    account.tax_lines[made["id"]] = lines
    return account.add(made)


def _check_lines(lines: list[dict[str, Any]]) -> None:
    if not lines:
        raise missing("line_items")
    references = [line["reference"] for line in lines if "reference" in line]
    if len(set(references)) < len(references):
        raise refused("The references of line items must be unique.", None, "line_items")
    for index, line in enumerate(lines):
        if line["amount"] < 0:
            raise invalid("Invalid non-negative integer", "parameter_invalid_integer", f"line_items[{index}][amount]")
        if line.get("tax_behavior", "exclusive") != "exclusive":
            raise lacking("lines that include tax")


def _line(line: dict[str, Any], index: int, rate: int) -> Json:
    return make(
        "tax.calculation_line_item",
        amount=line["amount"],
        amount_tax=tax_on(line["amount"], rate),
        quantity=line.get("quantity", 1),
        reference=line.get("reference", f"L{index + 1}"),
        tax_behavior="exclusive",
        tax_code=PRESET_CODE,
    )


def _percent(rate: int) -> str:
    return f"{rate / 100:g}"


methods.add_retrieve("tax.calculation")


@include("tax.calculation", "line_items")
def _lines(account: Account, calculation: Json) -> Json:
    return listing(account.tax_lines[calculation["id"]], f"/v1/tax/calculations/{calculation['id']}/line_items")


# ----------------------------------------------------------------------------------------- records


def hooks_of(account: Account, values: dict[str, Any]) -> Json | None:
    """Return the member `hooks` of a payment intent; raises StripeError for an unknown calculation."""
    calculation_id = values.get("hooks", {}).get("inputs", {}).get("tax", {}).get("calculation")
    if not calculation_id:
        return None
    account.get("tax.calculation", calculation_id, "hooks[inputs][tax][calculation]")
    return {"inputs": {"tax": {"calculation": calculation_id}}}


def record(account: Account, intent: Json, source: str) -> None:
    """Note what Stripe records of the tax of a payment that succeeded, or of its refund.

    One calculation is recorded for one payment only.
    """
    if not intent["hooks"]:
        return
    calculation_id = intent["hooks"]["inputs"]["tax"]["calculation"]
    others = list(account.all("tax.association", calculation=calculation_id))
    known = next((each for each in others if each["payment_intent"] == intent["id"]), None)
    made = known or account.add(
        make("tax.association", calculation=calculation_id, payment_intent=intent["id"], tax_transaction_attempts=[])
    )
    is_first = known is not None or not others
    attempt: Json = {"source": source, "committed": None, "errored": None}
    if is_first:
        attempt |= {"status": "committed", "committed": {"transaction": f"tax_{secrets.token_hex(12)}"}}
    else:
        attempt |= {"status": "errored", "errored": {"reason": "another_payment_associated_with_calculation"}}
    made["tax_transaction_attempts"].append(attempt)


@methods.add("GET", "/v1/tax/associations/find", "tax.AssociationFindParams", "payment_intent")
def find(account: Account, values: dict[str, Any]) -> Json:
    """Return what Stripe recorded of the tax of a payment."""
    found = next(account.all("tax.association", payment_intent=values["payment_intent"]), None)
    if found is None:
        message = f"No tax association found for payment intent {values['payment_intent']}"
        raise refused(message, "resource_missing", "payment_intent", status=404)
    return found


# ----------------------------------------------------------------------------------------- settings


@methods.add("GET", "/v1/tax/settings", "tax.SettingsRetrieveParams")
def settings(account: Account, _values: dict[str, Any]) -> Json:
    """Return the settings of the account."""
    return {
        "object": "tax.settings",
        "livemode": False,
        "defaults": {"provider": "stripe", "tax_behavior": account.tax_behaviour, "tax_code": PRESET_CODE},
        "head_office": None,
        "status": "active",
        "status_details": {"active": {}, "pending": None},
    }


@methods.add("POST", "/v1/tax/settings", "tax.SettingsUpdateParams", "defaults.tax_behavior")
def change_settings(account: Account, values: dict[str, Any]) -> Json:
    """Set the word about tax of prices that have none."""
    behaviour = values.get("defaults", {}).get("tax_behavior", account.tax_behaviour)
    if behaviour == "inferred_by_currency":
        raise lacking("a default tax behavior by currency")
    account.tax_behaviour = behaviour
    return settings(account, {})
