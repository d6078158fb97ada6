"""Texts and times that several examples share."""

from __future__ import annotations

ULID = "01KAQ5V3M8Z9T4E2W7X6C1R0NB"
AT = "2026-11-23T09:00:00Z"
LATER = "2027-02-21T09:00:00Z"
MODEL = "anthropic/claude-sonnet-4-5"
LINK = "https://opencode.example.com"
MAIL = "ada@example.com"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SESSION = "ses_4f2a9c1b7d3eA1b2C3d4E5f6G7"
SHARE = "dthNJk_H1gCIGFslIY8oAQ"
DOLLAR = 100_000_000
"""Micro-cents."""
