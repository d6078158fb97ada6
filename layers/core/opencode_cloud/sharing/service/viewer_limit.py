"""The limit of viewers of a share. A join reads a constant number of rows, whatever the size of the audience.

Viewers are counted by their rows, so no crash can make the count wrong. A join reads up to ``SAMPLE`` of these rows. If
there are no more, it knows the number. Otherwise it uses the last count, which the share's row records, and repeats the
count with the probability ``SAMPLE / rows``: that costs ``SAMPLE`` rows on average. A count is therefore
``rows / SAMPLE`` joins old on average, which is 2 % of the audience. One count in 150 is more than 10 % behind. The
audience may exceed the limit by so much, and by the joins in flight.

A join is refused only if a count of the last ``FRESH_SECONDS`` was at the limit.

A counter would be exact and cost two writes more for each viewer. Crashes, retries and rows that expire would make it
wrong, so it would need repairs. A transaction for each join would serialize all joins of a share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.ids import random_fraction
from opencode_cloud.sharing.models import Share, ViewerCount, too_many_viewers

if TYPE_CHECKING:
    from opencode_cloud.sharing.store import ShareStore

SAMPLE = 50
FRESH_SECONDS = 10


class ViewerLimit:
    """Refuses new viewers of a share that has ``most``."""

    def __init__(self, store: ShareStore, most: int) -> None:
        self._store = store
        self._most = most

    def look(self, share_id: ShareId) -> ViewerCount | None:
        """Count the viewers of a share; None for more than ``SAMPLE`` rows."""
        return self._store.count_few_viewers(share_id, SAMPLE)

    def check(self, share: Share, looked: ViewerCount | None, *, has_row: bool) -> None:
        """Raise ``too_many_viewers`` (429) if a new viewer is one too many.

        ``looked`` is the result of :meth:`look`. ``has_row`` tells whether the viewer's own row was stored before, so
        that counts of now include it.
        """
        count = looked or self._last_count(share)
        is_earlier = count is share.viewer_count
        others = count.viewers if is_earlier or not has_row else count.viewers - 1
        if others >= self._most:
            raise too_many_viewers(self._most)

    def _last_count(self, share: Share) -> ViewerCount:
        last = share.viewer_count
        if last is not None and not self._is_due(last):
            return last
        count = self._store.count_viewers(share.id)
        self._store.record_viewer_count(share.id, count)
        return count

    def _is_due(self, last: ViewerCount) -> bool:
        if last.viewers >= self._most and now_seconds() - last.at >= FRESH_SECONDS:
            return True
        return random_fraction() * last.rows < SAMPLE
