"""Bounds on what callers without an account may store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit.clock import DAY_SECONDS, now_ms
from opencode_cloud.kit.errors import PayloadTooLarge, TooManyRequests
from opencode_cloud.kit.networks import network_of
from opencode_cloud.sharing.models import Refusal, share_full, stored_too_much, too_many_syncs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opencode_cloud.contracts.ids import ShareId
    from opencode_cloud.kit.rate_counters import Expense, Totals
    from opencode_cloud.sharing.models import Item, Share
    from opencode_cloud.sharing.store import ShareStore

MEGABYTE = 1024 * 1024
NOTED_MS = 60_000
"""The share's row is written at most this often for refused batches."""
SYNC_WINDOW_SECONDS = 10
"""Syncs are counted over some seconds, since a client may send two at once."""


class AnonymousLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of shares without an owner; 0 stands for no limit. Bytes count before compression."""

    share_bytes: int = 0
    """Bytes that one share may take in a day."""
    share_items: int = 0
    network_bytes: int = 0
    """Bytes that may come from one network in a day, for all shares."""
    network_items: int = 0
    syncs_per_second: int = 0
    """Syncs of one share."""


class AnonymousQuotas:
    """Counts what is stored without an account."""

    def __init__(self, store: ShareStore, limits: AnonymousLimits) -> None:
        self._store = store
        self._limits = limits

    def take(self, share: Share, address: str, items: Sequence[Item]) -> None:
        """Count a batch, whose sender has proved the share's secret. All counters are written in one parallel round.

        ``address`` is empty for a batch over a socket, whose messages do not name it. Raises ``share_full`` (413);
        ``stored_too_much`` or ``too_many_syncs`` (429). The share's row then says that something is missing, since
        clients do not send a refused batch again.
        """
        try:
            self._take(share.id, address, items)
        except (PayloadTooLarge, TooManyRequests) as error:
            self._note(share, error.code)
            raise

    def _note(self, share: Share, code: str) -> None:
        now, known = now_ms(), share.refusal
        if known is None or now - known.last > NOTED_MS:
            self._store.note_refusal(share.id, Refusal(code=code, since=known.since if known else now, last=now))

    def _take(self, share_id: ShareId, address: str, items: Sequence[Item]) -> None:
        limits = self._limits
        if limits == AnonymousLimits():
            return
        amounts = {"bytes": sum(len(item.data) for item in items), "items": len(items)}
        expenses: list[Expense] = [(f"share#{share_id}", DAY_SECONDS, amounts)]
        expenses.append((f"syncs#{share_id}", SYNC_WINDOW_SECONDS, {"syncs": 1}))
        if address:
            expenses.append((f"network#{network_of(address)}", DAY_SECONDS, amounts))
        share, syncs, *network = self._store.spend_all(expenses)
        if _exceeds(syncs.of("syncs"), limits.syncs_per_second * SYNC_WINDOW_SECONDS):
            raise too_many_syncs(limits.syncs_per_second, syncs.reset)
        if _is_over(share, limits.share_bytes, limits.share_items):
            raise share_full(limits.share_bytes // MEGABYTE, limits.share_items)
        if any(_is_over(totals, limits.network_bytes, limits.network_items) for totals in network):
            raise stored_too_much(network[0].reset)


def _is_over(totals: Totals, most_bytes: int, most_items: int) -> bool:
    return _exceeds(totals.of("bytes"), most_bytes) or _exceeds(totals.of("items"), most_items)


def _exceeds(amount: int, limit: int) -> bool:
    return bool(limit) and amount > limit
