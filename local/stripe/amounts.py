"""Which amounts, quantities and currencies Stripe takes (https://docs.stripe.com/currencies)."""

from typing import Any

from local.stripe.errors import invalid, refused

SMALLEST = 50
"""The least amount of a charge in US dollars, in cents."""
LARGEST = 99_999_999
"""Charges and prices have at most eight digits."""
_CODES = (
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd "
    "cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd "
    "hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad "
    "mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln "
    "pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs "
    "uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw"
)
CURRENCIES = frozenset(_CODES.split())


def check_charge(amount: int, param: str = "amount") -> None:
    """Check the amount of a charge; raises StripeError for one that is too small or too large."""
    if amount < SMALLEST:
        raise refused(f"Amount must be at least {SMALLEST} cents.", "amount_too_small", param)
    if amount > LARGEST:
        raise refused(f"Amount must be no more than {LARGEST} cents.", "amount_too_large", param)


def check_price(amount: int, param: str) -> None:
    """Check the amount of a price, which may be free; raises StripeError."""
    if amount < 0:
        raise invalid(f"Invalid non-negative integer: {amount}", "parameter_invalid_integer", param)
    if amount > LARGEST:
        raise refused(f"Amount must be no more than {LARGEST} cents.", "amount_too_large", param)


def check_quantity(quantity: int, param: str, least: int = 0) -> None:
    """Check a quantity; raises StripeError for one below ``least``."""
    if quantity < least:
        raise invalid(
            f"This value must be greater than or equal to {least}.", "parameter_invalid_integer", f"{param}[quantity]"
        )


def currency_of(given: Any, param: str = "currency") -> str:
    """Return a currency in lower case; raises StripeError for one that Stripe does not know."""
    if given.lower() not in CURRENCIES:
        message = f"Invalid currency: {given.lower()}. Stripe currently supports these currencies: usd, aed, afn, ..."
        raise refused(message, None, param)
    return given.lower()
