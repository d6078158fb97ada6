"""The target of an audited action."""

from __future__ import annotations

import msgspec


class Target(msgspec.Struct, frozen=True):
    """The target of an action: the kind of row, its id, and its name as people know it."""

    kind: str
    id: str
    name: str = ""
