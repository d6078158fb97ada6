"""The fee is a share of what the payer pays, in whole cents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.payments.fees import FeeSchedule


@pytest.mark.parametrize(("credit", "fee"), [(1000, 77), (2000, 123)])
def test_the_known_examples(credit: int, fee: int) -> None:
    assert FeeSchedule.parse("0.044+30").of(credit) == fee


@given(credit=st.integers(1, 10**9), rate=st.integers(0, 500), fixed=st.integers(0, 1000))
def test_the_fee_is_the_rate_of_the_gross_amount_to_half_a_cent(credit: int, rate: int, fixed: int) -> None:
    schedule = FeeSchedule.parse(f"0.{rate:03d}+{fixed}")
    fee = schedule.of(credit)

    # Twice, in thousandths of a cent, so that everything is an integer.
    error = 2000 * (fee - fixed) - 2 * rate * (credit + fee)
    assert abs(error) <= 2000 - 2 * rate or abs(error) <= 1000


def test_without_a_schedule_there_is_no_fee() -> None:
    assert FeeSchedule.parse("").of(2000) == 0


@pytest.mark.parametrize("text", ["1+0", "-0.1+0", "0.1+-1", "much"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fee|Invalid|literal"):
        FeeSchedule.parse(text)
