"""The processing fee that a workspace pays on top of its credit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """A share of the gross amount and a fixed part. Without both there is no fee."""

    rate: Fraction = Fraction(0)
    fixed: int = 0
    """In cents."""

    @classmethod
    def parse(cls, text: str) -> FeeSchedule:
        """Read ``0.044+30``, the rate and the cents; an empty text means no fee.

        Raises:
            ValueError: The text has another form, or the rate is not between 0 and 1.
        """
        if not text:
            return cls()
        rate, _, fixed = text.partition("+")
        schedule = cls(Fraction(rate), int(fixed or "0"))
        if not 0 <= schedule.rate < 1 or schedule.fixed < 0:
            raise ValueError(f"{text} is no fee: the rate is below 1 and nothing is negative")
        return schedule

    def of(self, credit: int) -> int:
        """Return the fee in cents on a credit in cents: the rate of all that is paid, and the fixed part.

        The payer pays an amount whose rate is the fee. The fee is rounded to whole cents, a half up.
        """
        exact = (credit + self.fixed) / (1 - self.rate) * self.rate + self.fixed
        return int(exact + Fraction(1, 2))
