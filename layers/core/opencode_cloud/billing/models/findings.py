"""Findings of the nightly comparison."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class BookFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A promise of the ledger that does not hold."""

    check: str
    """The name of the check, such as ``entries_sum``."""
    workspace_id: str = ""
    subject: str = ""
    """The transaction, account or day that it concerns."""
    expected: Mapping[str, int | str | None]
    found: Mapping[str, int | str | None]
