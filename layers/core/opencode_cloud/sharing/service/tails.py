"""The memory of an execution environment about shares: the last seen end of each log, the share, its viewers.

The end is only a hint for the start of the next read: a commit reads everything after it, and the conditional put
decides. A stale or lost memory costs a larger read or another attempt, never correctness.

A commit within :data:`KNOWN_SECONDS` after the last read needs no read before its put. That is safe:

- Another writer's record makes the put fail, and the log is read then (invariant I2).
- The read after the put finds viewers who have joined meanwhile, as it does after every put (I1). They are judged by
  the share as it is then.
- It also finds that the share was removed. The commit is then refused, and the purge deletes the record (I5).
- Viewers who lose access lose their sockets before the change is acknowledged, and the policy of the owner's workspace
  is read for each commit.
- A share whose secret may be replaced is always read. So is one without rows.
- A claim within that second is the only change that is seen late: a sender without a login may still write. Revocations
  have five seconds (I9).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.models import Item, Position
from opencode_cloud.sharing.store import Following, Head

KNOWN_SECONDS = 1.0
"""How long what was read of a share is used without another read, in seconds."""
_SHARES = 1000
_KEYS = 2000


class Tail:
    """The known end of one log, and the arrival times of the keys that were seen last."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.following: Following | None = None
        self.read_at = 0.0
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

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._tails: OrderedDict[str, Tail] = OrderedDict()
        self._clock = clock

    def position(self, share_id: ShareId) -> Position | None:
        """Return the known end of a log, if any."""
        tail = self._tails.get(share_id)
        return tail.position if tail else None

    def head(self, share_id: ShareId) -> Head | None:
        """Return what a commit needs if it was read within :data:`KNOWN_SECONDS`."""
        tail = self._tails.get(share_id)
        following = tail.following if tail else None
        if tail is None or following is None or self._clock() - tail.read_at > KNOWN_SECONDS:
            return None
        if following.share is None or following.share.needs_login:
            return None
        return Head(following.share, (), following.viewers, tail.position)

    def know(self, share_id: ShareId, following: Following, read_at: float) -> None:
        """Remember a share and its viewers, whose read began at ``read_at`` (of the clock)."""
        tail = self._tails.get(share_id)
        if tail is not None:
            tail.following, tail.read_at = following, read_at

    def now(self) -> float:
        """Return the clock's time, in seconds."""
        return self._clock()

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
