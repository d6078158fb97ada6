"""Published figures for comparison. This project measured them earlier, not in this run.

The original: opencode's SyncServer, a Durable Object, run unchanged under workerd with persistent storage and R2 on two
cores of the same kind of machine; updates of 1 KB at 50 a second; medians of three runs.
"""

from __future__ import annotations

from typing import Final

SOURCE: Final = (
    "the original SyncServer (a Durable Object) under workerd with persistent storage and R2, two cores of the same "
    "kind of machine, updates of 1 KB at 50/s, medians of three runs; measured earlier, not in this run"
)
RECEIVED: Final = {1: (3.7, 8.8), 10: (4.2, 7.8), 100: (5.4, 13.8), 1000: (19.0, 34.0)}
"""Viewers -> p50 and p99 of publish -> received, in milliseconds."""
EARLIER_FLOOR: Final = {1: (0.2, 0.4), 10: (0.3, 0.6), 100: (0.8, 1.4), 1000: (8.8, 15.0)}
"""The same for a bare asyncio broadcast with a rawer wire than this run's floor."""
COMMITS_ONE_SHARE: Final = {1: 406.0, 16: 630.0}
"""Publishers -> commits a second on one share."""
COMMITS_MANY_SHARES: Final = {16: 602.0}
"""Publishers -> commits a second, each on a share of its own."""
STATE_MS: Final = {100: 3.4, 1_000: 13.6, 10_000: 93.0}
"""Items -> milliseconds from connect to full state."""
STATE_BYTES: Final = {10_000: 12_500_000}
ITEM_MS: Final = {30_000: 3.7, 200_000: 8.0, 1_000_000: 27.0}
"""Bytes of an item -> milliseconds to five viewers."""
REDUNDANT_FRAMES: Final = (1026, 51)
"""Frames that one reconnect resent, and the keys that had changed: it has no cursor."""
MEMORY_MB: Final = {"idle": 200, "10,000 keys": 680}
