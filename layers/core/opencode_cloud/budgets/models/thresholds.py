"""The message that the planes exchange when a budget reaches a threshold."""

from __future__ import annotations

import hashlib

import msgspec

from opencode_cloud.contracts.budgets import BudgetPeriod, KnownBudget
from opencode_cloud.contracts.ids import WorkspaceId

THRESHOLDS = (50, 80, 100)
"""Percentages of the limit at which people are notified."""


class ThresholdReached(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold of one budget, for one subject, in one window; the message of the queue ``alerts``."""

    id: str
    """Derived from the counter and the threshold, so that receivers recognize a repeated message."""
    workspace_id: WorkspaceId
    budget: KnownBudget
    threshold: int
    """A percentage of the limit."""
    used: int
    refused: bool
    """True if a call was refused. A refusal counts as 100 %, regardless of ``used``."""
    starts_at: int
    """Start of the window, in seconds since the epoch."""
    resets_at: int | None
    at: int
    """Time at which the threshold was detected, in seconds since the epoch."""


def mark(budget: KnownBudget, threshold: int) -> str:
    """Return the mark by which a counter records that people were notified of ``threshold``.

    A budget that never resets, such as a balance, can be raised and used up again. Its mark contains the limit, so
    that this counts as another threshold.
    """
    return f"{threshold}@{budget.limit}" if budget.period is BudgetPeriod.TOTAL else str(threshold)


def threshold_id(counter: str, marked: str) -> str:
    """Return the id of the message for the mark ``marked`` on the counter with the key ``counter``."""
    return hashlib.sha256(f"{counter}|{marked}".encode()).hexdigest()
