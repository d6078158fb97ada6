"""HTTP routes of billing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.billing.routes.ledger import LedgerRoutes
from opencode_cloud.http.gate import Gate

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.billing.service.reading import BillingReader

__all__ = ["BillingRoutes"]


class BillingRoutes:
    """All routes of billing."""

    def __init__(self, reader: BillingReader, access: Access) -> None:
        self._reader = reader
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        LedgerRoutes(self._reader, Gate(app, self._access)).mount()
