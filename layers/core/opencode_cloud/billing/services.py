"""Group the services of billing, for functions and operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opencode_cloud.billing.service.checking import BookReconciliation
from opencode_cloud.billing.service.checkpoints import Checkpoints
from opencode_cloud.billing.service.closing import MonthClose
from opencode_cloud.billing.service.coupons import Coupons
from opencode_cloud.billing.service.credits import Credits
from opencode_cloud.billing.service.expiring import Expiries
from opencode_cloud.billing.service.exporting import LedgerExport
from opencode_cloud.billing.service.reading import BillingReader
from opencode_cloud.billing.service.settling import UsageSettlement
from opencode_cloud.billing.store.reading import LedgerReader


@dataclass(frozen=True, slots=True)
class BillingServices:
    """The services of billing."""

    settlement: UsageSettlement
    credits: Credits
    coupons: Coupons
    expiries: Expiries
    closing: MonthClose
    reconciliation: BookReconciliation
    checkpoints: Checkpoints
    export: LedgerExport
    reader: BillingReader
    ledger: LedgerReader

    def nightly(self) -> Mapping[str, Callable[[], int]]:
        """Return the nightly jobs. Months close before checkpoints are made, which cover their end."""
        return {
            "credit expiry": self.expiries.run,
            "month close": self.closing.run,
            "ledger reconciliation": self.reconciliation.run,
            "ledger checkpoint": self.checkpoints.make,
        }
