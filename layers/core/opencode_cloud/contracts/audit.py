"""The target of an audited action."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """What an action was done to: the kind of row, its id, and the name that people know it by."""

    kind: str
    id: str
    name: str = ""
