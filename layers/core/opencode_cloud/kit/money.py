"""Amounts of money: integers of micro-cents, and the two ways to write them.

Machines read an amount exactly (:func:`exact`); people read it cut (:func:`shown`). Pages, mails, error texts,
CSV and JSON use these two and no other, so that one amount looks the same wherever people compare it.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, NewType

MicroCents = NewType("MicroCents", int)
"""A hundred millionth of a US dollar: the cost of one token of the cheapest model is several of them."""
DOLLAR: Final = MicroCents(100_000_000)
PLACES: Final = 8
"""Decimals of a dollar that micro-cents give."""
_CENT = DOLLAR // 100
_FINE = DOLLAR // 10_000


def parse_dollars(text: str) -> MicroCents:
    """Return dollars (``2.50``, ``-25``) in micro-cents, exactly.

    Raises:
        ValueError: The text is no amount, or one that is finer than micro-cents; the message says which.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text} is no amount of dollars") from error
    if not amount.is_finite():
        raise ValueError(f"{text} is no amount of dollars")
    micro_cents = amount.scaleb(PLACES)
    if micro_cents != int(micro_cents):
        raise ValueError(f"{text} has more than {PLACES} decimals")
    return MicroCents(int(micro_cents))


def exact(amount: int, places: int = 2) -> str:
    """Write micro-cents as dollars for machines: ``-2.50``, ``0.00000001``. At least so many ``places``, no loss."""
    whole, part = divmod(abs(amount), DOLLAR)
    decimals = f"{part:0{PLACES}d}".rstrip("0").ljust(places, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{decimals}"


def shown(amount: int) -> str:
    """Write micro-cents as dollars for people: ``$1,234.50``, ``-$2.50``, ``$0.0050``.

    To the cent where that is exact, else with the decimals that tell small amounts apart. What is cut is never rounded
    up: what is left must not look larger than it is, nor a limit reached that is not.
    """
    whole, part = divmod(abs(amount), DOLLAR)
    places = 2 if part % _CENT == 0 else 4 if abs(amount) >= _FINE else PLACES
    return f"{'-' if amount < 0 else ''}${whole:,}.{f'{part:0{PLACES}d}'[:places]}"
