"""The memory of a process about shares: the last seen end of each log, the share, its viewers.

The end is only a hint for the start of the next read: a commit reads everything after it, and the conditional put
decides. A stale or lost memory costs a larger read or another attempt, never correctness.

A share is *known* for a short time after its row was read: :data:`KNOWN_SECONDS` in a function, :data:`HUB_SECONDS` in
a hub. A commit of a known share needs no read before its put. That is safe:

- Another writer's record makes the put fail, and the log is read then (invariant I2). If the share has another owner or
  another secret by then, the sender is checked again.
- A read after the put finds viewers who have joined meanwhile, as it does after every put (I1). They are judged by
  the share as it is then.
- A function's read after the put also finds that the share was removed. The commit is then refused, and the purge
  deletes the record (I5). A hub acknowledges before that read, so it knows a share for a shorter time.
- Viewers who lose access lose their sockets before the change is acknowledged. The owner, the workspace and its policy
  are read for each commit, and the credentials of viewers for each push (I9).
- A process that changes a share forgets it at once. So does a hub that is told to close the sockets of a share, and a
  hub whose first socket follows a share.
- A share whose secret may be replaced is always read. So is one without rows. So is one that refuses the sender by
  what is known of it: another process may have replaced the secret.
- A claim is found by the same put: it is acknowledged after the first record of the owner.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.models import Item, Position, Share, Viewer
from opencode_cloud.sharing.store import Head

if TYPE_CHECKING:
    from opencode_cloud.sharing.protocol.capability import SealedSession

KNOWN_SECONDS = 1.0
"""How long a function uses what it read of a share, in seconds."""
HUB_SECONDS = 0.5
"""How long a hub does. Within this time it answers 410 for a share that another process has removed."""
_SHARES = 4000
_KEYS = 500
_CHANGES = 1000


class Known(msgspec.Struct, frozen=True):
    """A share and its viewers, from a read that began at ``read_at`` (of the clock).

    ``sessions`` are those of the secrets that were checked with this row, by the secret.
    """

    share: Share
    viewers: tuple[Viewer, ...]
    read_at: float
    sessions: dict[str, SealedSession] = msgspec.field(default_factory=dict["str", "SealedSession"])


class Tail:
    """The known end of one log, and the arrival times of the keys that were seen last."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.known: Known | None = None
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
    """The tails of the shares that this process wrote last; for any number of threads."""

    def __init__(self, known_seconds: float = KNOWN_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._known_seconds = known_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._tails: OrderedDict[ShareId, Tail] = OrderedDict()
        self._changes: OrderedDict[ShareId, float] = OrderedDict()

    def position(self, share_id: ShareId) -> Position | None:
        """Return the known end of a log, if any."""
        tail = self._tails.get(share_id)
        return tail.position if tail else None

    def known(self, share_id: ShareId) -> Known | None:
        """Return what is known of a share, if it was read a short time ago."""
        tail = self._tails.get(share_id)
        known = tail.known if tail else None
        if known is None or self._clock() - known.read_at > self._known_seconds:
            return None
        return None if known.share.needs_login else known

    def head(self, share_id: ShareId) -> Head | None:
        """Return what a commit needs, if the share is known."""
        known, position = self.known(share_id), self.position(share_id)
        return Head(known.share, (), known.viewers, position) if known and position else None

    def know(self, share: Share | None, viewers: tuple[Viewer, ...], read_at: float) -> None:
        """Remember a share and its viewers, whose read began at ``read_at`` (of the clock).

        A share that this process has changed since then stays forgotten.
        """
        if share is None:
            return
        with self._lock:
            tail = self._tails.get(share.id)
            if tail is None or self._changes.get(share.id, read_at - 1) >= read_at:
                return
            before = tail.known
            tail.known = Known(share, viewers, read_at)
            if before is not None and before.share.sealed_session == share.sealed_session:
                tail.known.sessions.update(before.sessions)

    def forget(self, share_id: ShareId) -> None:
        """Have a share's row read before the next commit, because it was changed, or its end is uncertain."""
        with self._lock:
            self._changes[share_id] = self._clock()
            self._changes.move_to_end(share_id)
            if len(self._changes) > _CHANGES:
                self._changes.popitem(last=False)
            if (tail := self._tails.get(share_id)) is not None:
                tail.known = None

    def now(self) -> float:
        """Return the clock's time, in seconds."""
        return self._clock()

    def advance(self, share_id: ShareId, position: Position, items: Iterable[Item]) -> Tail:
        """Record that a log reaches ``position`` and contains ``items``."""
        with self._lock:
            tail = self._tails.setdefault(share_id, Tail(position))
            self._tails.move_to_end(share_id)
            if position.seq > tail.position.seq:
                tail.position = position
            tail.learn(items)
            if len(self._tails) > _SHARES:
                self._tails.popitem(last=False)
            return tail
