"""HTTP routes of billing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.billing.routes.coupons import CouponRoutes
from opencode_cloud.billing.routes.ledger import LedgerRoutes
from opencode_cloud.http.gate import Gate

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.billing.service.coupons import Coupons
    from opencode_cloud.billing.service.reading import BillingReader

__all__ = ["BillingRoutes"]


class BillingRoutes:
    """All routes of billing."""

    def __init__(self, reader: BillingReader, coupons: Coupons, access: Access) -> None:
        self._reader = reader
        self._coupons = coupons
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        gate = Gate(app, self._access)
        LedgerRoutes(self._reader, gate).mount()
        CouponRoutes(self._coupons, gate).mount()
