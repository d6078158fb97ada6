"""HTTP routes of usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.http.gate import Gate
from opencode_cloud.usage.routes.caching import CachingRoutes
from opencode_cloud.usage.routes.chargeback import ChargebackRoutes
from opencode_cloud.usage.routes.events import EventRoutes
from opencode_cloud.usage.routes.exports import ExportRoutes
from opencode_cloud.usage.routes.figures import FigureRoutes
from opencode_cloud.usage.service.chargeback import ChargebackReader

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.usage.service import CacheMisses, ExportService, UsageReader

__all__ = ["UsageRoutes"]


class UsageRoutes:
    """All routes of usage."""

    def __init__(self, reader: UsageReader, exports: ExportService, cache_misses: CacheMisses, access: Access) -> None:
        self._reader = reader
        self._exports = exports
        self._cache_misses = cache_misses
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        gate = Gate(app, self._access)
        FigureRoutes(self._reader, gate).mount()
        EventRoutes(self._reader, gate).mount()
        ExportRoutes(self._exports, gate).mount()
        CachingRoutes(self._cache_misses, gate).mount()
        ChargebackRoutes(ChargebackReader(self._reader), gate).mount()
