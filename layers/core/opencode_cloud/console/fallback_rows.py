"""The part of the policy's form that names other models: one row of fields for each rule, and empty rows for more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.access import FallbackReason
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.policies.models import MAX_PATTERNS, FallbackRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opencode_cloud.console.forms import Form

REASONS = {
    FallbackReason.UNAVAILABLE: gettext_noop("no provider of it answers"),
    FallbackReason.CONTEXT: gettext_noop("the prompt is too long for it"),
    FallbackReason.BUDGET: gettext_noop("a budget is nearly used up"),
}
EMPTY_ROWS = 2
"""Rows for new rules. A form with more rules is published twice."""


class FallbackRow(msgspec.Struct, frozen=True):
    """One row, as a person typed it. ``to`` has models between blanks or commas."""

    model: str = ""
    to: str = ""
    when: tuple[str, ...] = (FallbackReason.UNAVAILABLE,)
    percent: str = ""

    @property
    def empty(self) -> bool:
        """Return whether the row names no model, so that it is no rule."""
        return not self.model and not self.to

    def document(self) -> dict[str, Any]:
        """Return the row as a rule of the policy, not yet validated."""
        rule: dict[str, Any] = {"model": self.model, "to": re.findall(r"[^\s,]+", self.to), "when": list(self.when)}
        return rule | ({"budget_percent": self.percent} if self.percent else {})


def rows_of(rules: Sequence[FallbackRule]) -> list[FallbackRow]:
    """Return the rows of a policy, and empty ones."""
    rows = [FallbackRow(rule.model, ", ".join(rule.to), tuple(rule.when), str(rule.budget_percent)) for rule in rules]
    return rows + [FallbackRow()] * EMPTY_ROWS


def typed_rows(form: Form) -> list[FallbackRow]:
    """Return the filled rows of a submitted form, in order: the first belongs to the policy's first rule."""
    count = form.one("fallback_rows")
    known = min(int(count), MAX_PATTERNS + EMPTY_ROWS) if count.isascii() and count.isdigit() else 0
    rows = [
        FallbackRow(
            form.one(f"fallback_{number}_model"),
            form.one(f"fallback_{number}_to"),
            tuple(form.many(f"fallback_{number}_when")),
            form.one(f"fallback_{number}_percent"),
        )
        for number in range(known)
    ]
    return [row for row in rows if not row.empty]
