"""Amounts and numbers as people write them. A doubtful comma must not make an amount a hundred times larger."""

from __future__ import annotations

import pytest

from opencode_cloud.console.forms import Form, InvalidForm
from opencode_cloud.kit.money import CENT, DOLLAR


def form(text: str) -> Form:
    return Form({"limit": [text]})


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("20", 20 * DOLLAR),
        (" $20.50 ", 20 * DOLLAR + 50 * CENT),
        ("0", 0),
        ("1,000", 1000 * DOLLAR),
        ("$1,234,567.89", 1_234_567 * DOLLAR + 89 * CENT),
    ],
)
def test_an_amount_is_read_with_its_sign_and_its_thousands(text: str, amount: int) -> None:
    assert form(text).dollars("limit") == amount


@pytest.mark.parametrize("text", ["", "20,00", "1,00", "1,0000", ",5", "1.000,00", "-1", "nan", "$", "twenty"])
def test_a_doubtful_amount_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(InvalidForm) as refused:
        form(text).dollars("limit")
    assert [fault.path for fault in refused.value.faults] == ["/limit"]


def test_a_whole_number_is_read_with_its_thousands() -> None:
    assert form("1,000,000").whole("limit") == 1_000_000


@pytest.mark.parametrize("text", ["", "1,00", "1.5", "-1", "1_000", "٣", "9" * 19])
def test_another_number_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(InvalidForm) as refused:
        form(text).whole("limit")
    assert [fault.path for fault in refused.value.faults] == ["/limit"]
