"""What clients ask for at every start: the remote config of the workspace that they work in. Without SQL."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.access.models import WORKSPACE_HEADER
from opencode_cloud.identity.web import request_of
from opencode_cloud.kit import http
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.workspaces.permissions import Permission

if TYPE_CHECKING:
    from opencode_cloud.access.models import KnownConfiguration
    from opencode_cloud.access.service import Access


class RemoteConfigRoutes:
    """The routes of remote config, over the projection alone: they answer while the database sleeps.

    Every client of a workspace that has one asks at each start, and takes what it gets as it is.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        self._event: Callable[[], dict[str, Any]] = lambda: app.current_event.raw_event
        app.get("/api/config")(self.first_generation)
        app.get("/api/v2/config")(self.second_generation)

    def first_generation(self) -> Response[str]:
        """``GET /api/config``, the workspace in ``x-org-id`` -> ``{config}``; 404: there is none."""
        known = self._known()
        return self._reply(known, {"config": known.config})

    def second_generation(self) -> Response[str]:
        """``GET /api/v2/config`` -> ``{providers}``; 404: there is none."""
        known = self._known()
        return self._reply(known, {"providers": known.providers})

    def _known(self) -> KnownConfiguration:
        event = self._event()
        workspace = http.header(event, WORKSPACE_HEADER)
        actor = self._access.member(request_of(event), workspace, Permission.REMOTE_CONFIG)
        known = self._access.configuration(actor.workspace)
        if known is None:
            raise NotFound(
                "no_remote_config", "The workspace has neither a policy nor a configuration for its clients."
            )
        return known

    def _reply(self, known: KnownConfiguration, document: dict[str, msgspec.Raw]) -> Response[str]:
        event = self._event()
        # Not kept by anyone in between, and asked for anew each time; who has it already is spared the body.
        headers = {"Cache-Control": "private, no-cache", "ETag": f'"{known.etag}"', "Vary": "authorization, x-org-id"}
        if known.etag in http.header(event, "if-none-match"):
            return http.reply(event, b"", status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return http.reply(event, msgspec.json.encode(document), headers=headers)
