"""Texts that other people chose, in files that a spreadsheet opens."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def harmless(text: str) -> str:
    """Return a text that a spreadsheet shows and does not interpret as a formula.

    The apostrophe in front is the one by which people mark a text (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
