"""Amounts of money: exact for machines, cut for people, and the same in all texts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.budgets.messages import amount
from opencode_cloud.contracts.budgets import BudgetUnit
from opencode_cloud.kit.money import DOLLAR, exact, parse_dollars, shown

AMOUNTS = st.integers(-(10**17), 10**17)


@pytest.mark.parametrize(
    ("micro_cents", "people", "machines"),
    [
        (0, "$0.00", "0.00"),
        (1, "$0.00000001", "0.00000001"),
        (9_999, "$0.00009999", "0.00009999"),
        (500_000, "$0.0050", "0.005"),
        (1_499_999, "$0.0149", "0.01499999"),
        (150_000_000, "$1.50", "1.50"),
        (199_999_999, "$1.9999", "1.99999999"),
        (-250_000_000, "-$2.50", "-2.50"),
        (-1, "-$0.00000001", "-0.00000001"),
        (123_456_789_000_000, "$1,234,567.89", "1234567.89"),
    ],
)
def test_an_amount_is_written_for_people_and_for_machines(micro_cents: int, people: str, machines: str) -> None:
    assert (shown(micro_cents), exact(micro_cents)) == (people, machines)


@given(AMOUNTS)
def test_machines_lose_nothing_there_and_back(micro_cents: int) -> None:
    assert parse_dollars(exact(micro_cents)) == micro_cents
    assert Decimal(exact(micro_cents, 8)).scaleb(8) == micro_cents


@given(AMOUNTS)
def test_people_never_read_more_than_there_is(micro_cents: int) -> None:
    read = parse_dollars(shown(micro_cents).replace("$", "").replace(",", ""))
    assert 0 <= abs(micro_cents) - abs(read) < DOLLAR // 10_000
    assert (read == 0) == (micro_cents == 0)


@given(st.integers(1, 10**15))
def test_pages_and_budgets_write_an_amount_alike(micro_cents: int) -> None:
    assert shown(micro_cents) == amount(BudgetUnit.COST, micro_cents)


def test_a_fixed_number_of_places_is_kept() -> None:
    assert exact(150_000_000, 8) == "1.50000000"


@pytest.mark.parametrize("text", ["", "two", "NaN", "Infinity", "0.000000001"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no amount|decimals"):
        parse_dollars(text)


@pytest.mark.parametrize(("micro_cents", "words"), [(0, "$0.00"), (1, "$0.00000001"), (-400_000, "-$0.0040")])
def test_zero_has_no_sign(micro_cents: int, words: str) -> None:
    """Case 59 of docs/billing-cases.md."""
    assert shown(micro_cents) == words
