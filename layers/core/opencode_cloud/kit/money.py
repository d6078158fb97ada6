"""Amounts of money as integers of micro-cents, and the two ways to format them.

:func:`exact` formats an amount exactly, for machines; :func:`shown` truncates it, for people. Pages, mails, error
texts, CSV and JSON use only these two, so that an amount looks the same everywhere.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, NewType

MicroCents = NewType("MicroCents", int)
"""A hundred millionth of a US dollar. One token of the cheapest model costs several micro-cents."""
DOLLAR: Final = MicroCents(100_000_000)
CENT: Final = MicroCents(DOLLAR // 100)
PLACES: Final = 8
"""Decimal places of an amount in dollars."""
_FINE = DOLLAR // 10_000


def parse_dollars(text: str) -> MicroCents:
    """Return dollars (``2.50``, ``-25``) in micro-cents, exactly.

    Raises:
        ValueError: The text is not an amount, or is finer than micro-cents; the message says which.
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
    """Format micro-cents as exact dollars for machines: ``-2.50``, ``0.00000001``. At least ``places`` decimals."""
    whole, part = divmod(abs(amount), DOLLAR)
    decimals = f"{part:0{PLACES}d}".rstrip("0").ljust(places, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{decimals}"


def shown(amount: int) -> str:
    """Format micro-cents as dollars for people: ``$1,234.50``, ``-$2.50``, ``$0.0050``.

    Show whole cents if that is exact, and otherwise the decimals that distinguish small amounts. Truncate instead of
    rounding up: a rest must not look larger than it is, and a limit must not look reached before it is.
    """
    whole, part = divmod(abs(amount), DOLLAR)
    places = 2 if part % CENT == 0 else 4 if abs(amount) >= _FINE else PLACES
    return f"{'-' if amount < 0 else ''}${whole:,}.{f'{part:0{PLACES}d}'[:places]}"
