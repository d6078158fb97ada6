"""Names and comments: one line, one normal form, something visible."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.names import LONGEST, clean_name, clean_text, shown_name
from opencode_cloud.kit.errors import BadRequest

UNWANTED = [
    *("\r\n", "\n", "\x00", "\x01", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\u200b", "\u2060", "\ufeff", "\u00ad"),
    *("\u061c", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e"),
    *("\u2066", "\u2067", "\u2068", "\u2069", "\ud800", "\ufff9"),
]
INVISIBLE = [
    "",
    " ",
    "\u00a0",
    "\u3000",
    "\u200c\u200d",
    "\u3164",
    "\u115f",
    "\uffa0",
    "\u2800",
    "\u034f",
    "\u0301",
    "\ue000",
]


@pytest.mark.parametrize("character", UNWANTED)
def test_a_character_that_breaks_or_turns_a_line_is_refused(character: str) -> None:
    for clean in (clean_name, clean_text):
        with pytest.raises(BadRequest) as refused:
            clean(f"Acme{character}Ltd")
        assert refused.value.code == "invalid_name"
        assert character not in refused.value.message
    assert clean_name(shown_name(f"Acme{character}Ltd"))


@pytest.mark.parametrize("name", INVISIBLE)
def test_a_name_has_something_visible(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        clean_name(name)
    assert refused.value.code == "name_required"
    assert shown_name(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "Z\u00fcrich",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f4bb",
        "\u05e9\u05dc\u05d5\u05dd",
        "7",
        "\u0939\u093f",
    ],
)
def test_names_of_all_scripts_are_kept(name: str) -> None:
    assert clean_name(f"  {name} ") == shown_name(name) == name


def test_a_name_is_kept_in_nfc_and_its_length_is_counted_there() -> None:
    assert clean_name("Zu\u0308rich") == "Z\u00fcrich"
    assert clean_name("u\u0308" * LONGEST) == "\u00fc" * LONGEST
    with pytest.raises(BadRequest):
        clean_name("\u0958" * LONGEST)  # NFC writes this letter as two
    assert clean_text("") == ""


@given(st.text())
def test_a_name_is_clean_or_refused(text: str) -> None:
    shown = shown_name(text)
    assert not shown or clean_name(shown) == shown
    try:
        cleaned = clean_name(text)
    except BadRequest:
        return
    assert cleaned == clean_name(cleaned) == unicodedata.normalize("NFC", cleaned)
    assert len(cleaned) <= LONGEST
    assert cleaned.isprintable() or "\u200c" in cleaned or "\u200d" in cleaned or not cleaned.isascii()
