"""Budgets, grants of prepaid balance, alerts."""

from __future__ import annotations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go on from 0001."""
