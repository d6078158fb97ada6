"""A budget reached a threshold: what the planes tell each other of it."""

from __future__ import annotations

import hashlib

import msgspec

from opencode_cloud.contracts.budgets import KnownBudget, Period
from opencode_cloud.contracts.ids import WorkspaceId

THRESHOLDS = (50, 80, 100)
"""Percent of the limit at which people are told."""


class Crossing(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold of one budget, for one subject, in one window; the message of the queue ``alerts``."""

    id: str
    """Made of exactly that, so that whoever hears of it twice can tell."""
    workspace_id: WorkspaceId
    budget: KnownBudget
    threshold: int
    """Percent."""
    used: int
    refused: bool
    """Whether a call was refused, which makes it 100 % however much is used."""
    starts_at: int
    """Of the window, in seconds since the epoch."""
    resets_at: int | None
    at: int
    """When it was noticed, in seconds since the epoch."""


def mark(budget: KnownBudget, threshold: int) -> str:
    """Return how a counter notes that people were told of ``threshold``.

    What never begins anew, such as a balance, can be raised and used up again: that is another crossing.
    """
    return f"{threshold}@{budget.limit}" if budget.period is Period.TOTAL else str(threshold)


def crossing_id(counter: str, marked: str) -> str:
    """Return the id of the crossing that is noted as ``marked`` on the counter of that key."""
    return hashlib.sha256(f"{counter}|{marked}".encode()).hexdigest()
