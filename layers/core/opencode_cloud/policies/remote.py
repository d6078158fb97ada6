"""Serve the remote config of a workspace, which its clients fetch at every start. Uses no SQL."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.catalogue import listing
from opencode_cloud.contracts.access import WORKSPACE_HEADER, EnforcedPolicy
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.requests import request_of
from opencode_cloud.kit import http_events
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.parallel import pool
from opencode_cloud.policies import second_generation
from opencode_cloud.policies.offering import Document, with_gateway

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.catalogue.service.caching import CatalogueCache


class RemoteConfigRoutes:
    """The routes of remote config. They read only the projection, so they answer while the database is paused.

    Every client of a workspace with a remote config fetches it at each start, and uses it unchanged.
    """

    def __init__(self, access: Access, catalogue: CatalogueCache, public_url: str) -> None:
        self._access = access
        self._catalogue = catalogue
        self._public_url = public_url

    def mount(self, app: HttpRoutes) -> None:
        """Add every route to ``app``."""
        self._event = app.event
        app.get("/api/config")(self.first_generation)
        app.get("/api/v2/config")(self.second_generation)

    def first_generation(self) -> HttpReply:
        """Answer ``GET /api/config``, with the workspace in ``x-org-id``: ``{config}``; 404 when there is none."""
        config, _ = self._config_and_policy()
        return self._reply({"config": config})

    def second_generation(self) -> HttpReply:
        """Answer ``GET /api/v2/config``: ``{providers, experimental}``; 404 when there is none."""
        config, policy = self._config_and_policy()
        return self._reply(second_generation.config_of(config, policy))

    def _config_and_policy(self) -> tuple[Document, EnforcedPolicy]:
        """Return the client's configuration, and the policy that it comes from."""
        event = self._event()
        workspace_id = WorkspaceId(http_events.header(event, WORKSPACE_HEADER))
        request = request_of(event)
        # The workspace is read while the credential is checked. It is used only if the credential is good for it.
        reading = pool().submit(self._access.clients, workspace_id) if workspace_id and request.bearer else None
        actor = self._access.member(request, workspace_id, Permission.REMOTE_CONFIG)
        if reading and actor.workspace_id == workspace_id:
            workspace, configuration = reading.result()
        else:
            workspace, configuration = self._access.clients(actor.workspace_id)
        policy = workspace.policy if workspace else EnforcedPolicy()
        config: Document = msgspec.json.decode(configuration.config) if configuration else {}
        # Until a catalogue is published, the operator has not decided to offer the gateway.
        if workspace and (catalogue := self._catalogue.published()):
            permits = listing.bounded(workspace, actor)
            base_url = http_events.base_url(event, self._public_url) + listing.GATEWAY
            config = with_gateway(config, catalogue, permits, workspace.id, base_url, now_seconds())
        if not config:
            raise NotFound(
                "no_remote_config", "The workspace has neither a policy nor a configuration for its clients."
            )
        return config, policy

    def _reply(self, document: Document) -> HttpReply:
        event, body = self._event(), msgspec.json.encode(document)
        etag = hashlib.sha256(body).hexdigest()[:32]
        # Shared caches must not store it. Clients revalidate each time, and get no body if it has not changed.
        headers = {"Cache-Control": "private, no-cache", "ETag": f'"{etag}"', "Vary": "authorization, x-org-id"}
        if etag in http_events.header(event, "if-none-match"):
            return http_events.reply(event, b"", status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return http_events.reply(event, body, headers=headers)
