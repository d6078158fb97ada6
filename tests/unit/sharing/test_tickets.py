"""Tickets: valid for one share, until they expire or the share's key changes. Passwords are hashed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.protocol import tickets

KEY = tickets.new_key()
SHARE = ShareId("AbCdEfGhIjKlMnOpQrStUv")


@pytest.mark.parametrize("proof", ["", "session#sid_0123", "key#" + "ab" * 32])
def test_a_ticket_says_whose_it_is(proof: str) -> None:
    found = tickets.read(KEY, SHARE, tickets.write(KEY, SHARE, proof))
    assert found is not None
    assert found.proof == proof


def test_a_ticket_is_for_one_share_and_one_key() -> None:
    ticket = tickets.write(KEY, SHARE)
    assert tickets.read(KEY, ShareId(SHARE[::-1]), ticket) is None
    assert tickets.read(tickets.new_key(), SHARE, ticket) is None


def test_a_ticket_ends_but_says_who_it_was_for() -> None:
    ticket = tickets.write(KEY, SHARE, "session#sid_1", seconds=-1)
    assert tickets.read(KEY, SHARE, ticket) is None
    aged = tickets.read(KEY, SHARE, ticket, aged=True)
    assert aged is not None
    assert aged.proof == "session#sid_1"


@pytest.mark.parametrize(
    ("kept", "typed"),
    [
        ("Gr\u00fc\u00dfe 42 caf\u00e9", "Gru\u0308\u00dfe 42 cafe\u0301"),
        ("Gru\u0308\u00dfe 42 cafe\u0301", "Gr\u00fc\u00dfe 42 caf\u00e9"),
        ("one two three", "one\u00a0two\u3000three"),
    ],
)
def test_a_password_is_the_same_in_each_normal_form(kept: str, typed: str) -> None:
    hashed = tickets.hash_password(kept)
    assert tickets.is_password(typed, hashed)
    assert not tickets.is_password(typed.upper(), hashed)
    assert not tickets.is_password(typed + " ", hashed)


def test_a_password_keeps_letters_that_only_look_alike_apart() -> None:
    hashed = tickets.hash_password("stra\u00dfe \ufb01x")
    assert not tickets.is_password("strasse \ufb01x", hashed)
    assert not tickets.is_password("stra\u00dfe fix", hashed)


@given(st.text(max_size=200))
def test_nothing_else_is_a_ticket(text: str) -> None:
    assert tickets.read(KEY, SHARE, text, aged=True) is None


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_ticket_changed_in_any_byte_is_none(position: int, difference: int) -> None:
    ticket = tickets.write(KEY, SHARE, "session#sid_1")
    place = position % len(ticket)
    other = ticket[:place] + chr((ord(ticket[place]) + difference) % 128) + ticket[place + 1 :]
    found = tickets.read(KEY, SHARE, other)
    assert other == ticket or found is None or found.proof == "session#sid_1"


def test_a_password_is_told_by_its_hash_only() -> None:
    hashed = tickets.hash_password("correct horse")
    assert hashed.startswith("$argon2id$")
    assert "correct horse" not in hashed
    assert hashed != tickets.hash_password("correct horse")
    assert tickets.is_password("correct horse", hashed)
    assert not tickets.is_password("correct house", hashed)
