"""Serve ``/api.json`` to clients whose ``OPENCODE_MODELS_URL`` points here. Uses no SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.catalogue import links, listing
from opencode_cloud.catalogue.models import listing_not_found
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import http_events
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.rate_limits import RateLimit, RateLimiter

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.catalogue.service.caching import CatalogueCache

LISTINGS = RateLimit("listings", 300)
"""The limit per address. A whole office may share one; each client asks at its start and once an hour."""
KEPT = "max-age=60"


class ListingRoutes:
    """The lists of models: a public one of the stage, and one of each workspace at a secret address."""

    def __init__(
        self,
        catalogue: CatalogueCache,
        access: Access,
        limiter: RateLimiter,
        deployment_key: Callable[[], str],
        public_url: str,
    ) -> None:
        self._catalogue = catalogue
        self._access = access
        self._limiter = limiter
        self._deployment_key = deployment_key
        self._public_url = public_url

    def mount(self, app: HttpRoutes) -> None:
        """Add every route to ``app``."""
        self._event = app.event
        app.get("/api.json")(self.of_stage)
        app.get(f"{links.PATH}<token>/api.json")(self.of_workspace)

    def of_stage(self) -> HttpReply:
        """Answer ``GET /api.json``: every model of the catalogue."""
        self._limiter.take(LISTINGS, http_events.source_address(self._event()))
        return self._reply(listing.allow_all, "public")

    def of_workspace(self, token: str) -> HttpReply:
        """Answer ``GET /catalogue/{token}/api.json``: the models that the workspace's policy permits."""
        self._limiter.take(LISTINGS, http_events.source_address(self._event()))
        workspace = self._access.workspace(WorkspaceId(links.workspace_of(self._deployment_key(), token)))
        if workspace is None:
            raise listing_not_found()
        return self._reply(workspace.policy.permits_model, "private")

    def _reply(self, permits: listing.Permits, whose: str) -> HttpReply:
        event = self._event()
        base_url = http_events.base_url(event, self._public_url) + listing.GATEWAY
        body = msgspec.json.encode(listing.listed(self._catalogue.current(), permits, base_url, now_seconds()))
        etag = hashlib.sha256(body).hexdigest()[:32]
        headers = {"Cache-Control": f"{whose}, {KEPT}", "ETag": f'"{etag}"'}
        if etag in http_events.header(event, "if-none-match"):
            return http_events.reply(event, b"", status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return http_events.reply(event, body, headers=headers)
