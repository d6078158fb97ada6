"""Codes that people type: letters and digits, in any script and spelling."""

from __future__ import annotations

import unicodedata

LONGEST_TYPED = 200
"""Characters that are looked at. A code with blanks and dashes is much shorter."""


def typed_code(typed: str) -> str:
    """Return the letters, capitalized, and digits of a typed code, without blanks, dashes and invisible characters.

    Digits of any script count by their value, letters of other widths as the plain ones.
    """
    plain = unicodedata.normalize("NFKC", typed[:LONGEST_TYPED]).upper()
    return "".join(_digit(character) for character in plain if character.isalnum())


def _digit(character: str) -> str:
    value = unicodedata.digit(character, None)
    return character if value is None else str(value)
