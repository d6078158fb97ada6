"""Book the expiry of promotional credit. Its end counts by time alone, so nothing waits for this job."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from opencode_cloud.billing.models.accounts import has_ended
from opencode_cloud.billing.service import drafts
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.housekeeping import ItemRuns
from opencode_cloud.kit.log import count

if TYPE_CHECKING:
    from opencode_cloud.billing.service.booking import Booking
    from opencode_cloud.billing.store.reading import LedgerReader

GRACE = timedelta(hours=1)
"""Time for the events of calls that arrived before the end. They still use the credit."""


class Expiries:
    """Takes what is left of credit that has ended back from its workspace, once for each end."""

    def __init__(self, booking: Booking, reader: LedgerReader) -> None:
        self._booking = booking
        self._reader = reader

    def run(self) -> int:
        """Book the expiry of all credit that ended an hour ago or earlier; return the number of transactions.

        Raises :class:`ItemsFailed` if some workspaces failed. The credit of the others is booked.
        """
        runs = ItemRuns()
        for workspace_id in self._reader.with_ended_credit(utc_now() - GRACE):
            runs.run(workspace_id, partial(self._expire, workspace_id))
        count("CreditExpiries", runs.total)
        runs.check()
        return runs.total

    def _expire(self, workspace_id: WorkspaceId) -> int:
        with self._booking.unit() as unit:
            locked, before = self._booking.lock(unit, [workspace_id]), utc_now() - GRACE
            wanted = [
                drafts.expiry(account, account.ends_at)
                for account in locked.of(workspace_id)
                if account.ends_at is not None and account.left and has_ended(account, before)
            ]
            return len(self._booking.book(unit, locked, wanted)) if wanted else 0
