"""Names that people give to things: one form for all of them.

Names go into mails, lists and sheets. A line break or a direction mark in one changes the text around it, and two
spellings of one name look alike.
"""

from __future__ import annotations

import unicodedata

from opencode_cloud.kit.errors import BadRequest

LONGEST = 255
"""Characters that a name may have, counted in its stored form."""
_JOINERS = "\u200c\u200d"
"""Persian, several Indian scripts and emoji need these."""
_PLACED_BEFORE = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
"""Visible signs that Unicode counts as format characters."""
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and signs without ink."""
_MOST_PARTS = 4
"""Characters that NFC composes into one. Composing a run of accents takes time with the square of its length."""
_UNSEEN = frozenset({"C", "Z", "M"})


def clean_text(text: str, longest: int = LONGEST) -> str:
    """Return a line of text in NFC, without blanks around it; it may be empty. Raises ``invalid_name`` (400)."""
    if len(text) > _MOST_PARTS * longest:
        raise _too_long(longest)
    cleaned = unicodedata.normalize("NFC", text).strip()
    found = next((character for character in cleaned if _is_unwanted(character)), "")
    if found:
        raise invalid_name(f"it holds U+{ord(found):04X}. Use one line, without control characters or direction marks")
    if len(cleaned) > longest:
        raise _too_long(longest)
    return cleaned


def clean_name(name: str, longest: int = LONGEST) -> str:
    """Return a name as :func:`clean_text` does, with a visible character; else raise ``name_required`` (400) too."""
    cleaned = clean_text(name, longest)
    if not any(map(_is_visible, cleaned)):
        raise name_required()
    return cleaned


def shown_name(name: str, longest: int = LONGEST) -> str:
    """Return a name that another service has given, such as an identity provider.

    Characters that :func:`clean_name` refuses are left out. The result is empty when nothing visible remains.
    """
    part = name[: _MOST_PARTS * longest]
    spaced = "".join(" " if character.isspace() else character for character in unicodedata.normalize("NFC", part))
    shown = "".join(character for character in spaced if not _is_unwanted(character)).strip()[:longest].strip()
    return shown if any(map(_is_visible, shown)) else ""


def name_required() -> BadRequest:
    """Return the error for a name without a visible character."""
    return BadRequest("name_required", "The name must hold at least one visible character.")


def _too_long(longest: int) -> BadRequest:
    return invalid_name(f"it is longer than {longest} characters")


def invalid_name(reason: str) -> BadRequest:
    """Return the error for a name, or a comment, that cannot be shown safely."""
    return BadRequest("invalid_name", f"This text cannot be a name or a comment: {reason}.")


def _is_unwanted(character: str) -> bool:
    """Tell whether a character controls, breaks or turns the text around it, or is no character at all."""
    category = unicodedata.category(character)
    if category == "Cf":
        return character not in _JOINERS and character not in _PLACED_BEFORE and not _is_tag(character)
    return category in ("Cc", "Cs", "Zl", "Zp")


def _is_tag(character: str) -> bool:
    """Tell whether a character is a tag, of which some flags are made."""
    return "\U000e0020" <= character <= "\U000e007f"


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in _UNSEEN and character not in _INVISIBLE
