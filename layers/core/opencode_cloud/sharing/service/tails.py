"""The memory of an execution environment about logs: the last seen end of each.

It is only a hint for the start of the next read: a commit reads everything after it, and the conditional put decides. A
stale or lost memory costs a larger read or another attempt, never correctness.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.models import Item, Position

_SHARES = 1000
_KEYS = 2000


class Tail:
    """The known end of one log, and the arrival times of the keys that were seen last."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self._arrivals: dict[str, int] = {}

    def learn(self, items: Iterable[Item]) -> None:
        """Record the arrival of ``items``."""
        if len(self._arrivals) > _KEYS:
            self._arrivals.clear()
        for item in items:
            self._arrivals[item.key] = max(item.at, self._arrivals.get(item.key, 0))

    def stale(self, items: Iterable[Item]) -> frozenset[str]:
        """Return the keys of ``items`` for which a later arrival is known."""
        return frozenset(item.key for item in items if self._arrivals.get(item.key, 0) > item.at)


class Tails:
    """The tails of the shares that this environment wrote last."""

    def __init__(self) -> None:
        self._tails: OrderedDict[str, Tail] = OrderedDict()

    def position(self, share_id: ShareId) -> Position | None:
        """Return the known end of a log, if any."""
        tail = self._tails.get(share_id)
        return tail.position if tail else None

    def advance(self, share_id: ShareId, position: Position, items: Iterable[Item]) -> Tail:
        """Record that a log reaches ``position`` and contains ``items``."""
        tail = self._tails.setdefault(share_id, Tail(position))
        self._tails.move_to_end(share_id)
        if position.seq > tail.position.seq:
            tail.position = position
        tail.learn(items)
        if len(self._tails) > _SHARES:
            self._tails.popitem(last=False)
        return tail
