"""The gate of `/api/v1`: a route declares who may enter, and that is what is checked and what the documents say."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from inspect import getdoc
from typing import TYPE_CHECKING, Any

from opencode_cloud.access.credentials import KEY_PREFIX
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.requests import check_same_origin, request_of
from opencode_cloud.kit import http_events
from opencode_cloud.kit.idempotency import Idempotency

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.contracts.actor import Actor

ACCOUNT = "account"
"""In place of a permission: any person who is signed in."""

WORKSPACE = "/api/v1/workspaces/<workspace_id>"
"""Where the routes of one workspace lie."""

EXTENSION = "x-permission"
_WORKSPACES = "/api/v1/workspaces/"
_WORKSPACE = 4  # /api/v1/workspaces/{workspace}: the part of the path, from 0 before the first slash


class Gate:
    """Adds routes to an app, and authenticates their requests."""

    def __init__(self, app: APIGatewayHttpResolver, access: Access) -> None:
        self._app: Any = app  # Powertools leaves parts of its types open
        self._access = access

    @property
    def actor(self) -> Actor:
        """Who sent the request that is being answered."""
        return self._app.context["actor"]

    @property
    def event(self) -> http_events.Event:
        """The request that is being answered."""
        return self._app.current_event.raw_event

    def add(
        self,
        route: str,
        handler: Callable[..., Any],
        permission: Permission | str,
        summary: str,
        tag: str,
        status: int = HTTPStatus.OK,
    ) -> None:
        """Add a route (``GET /api/v1/...``) that only who has ``permission`` may enter, or any person for ``ACCOUNT``.

        Routes with a permission lie under ``/api/v1/workspaces/<workspace_id>``; requests of others never get to them.
        """
        method, _, rule = route.partition(" ")
        self._app.route(
            rule,
            method,
            summary=summary,
            description=getdoc(handler) or "",
            tags=[tag],
            status_code=status,
            openapi_extensions={EXTENSION: str(permission)},
            middlewares=[self._entrance(permission)],
        )(handler)

    def _entrance(self, permission: Permission | str) -> Callable[..., Any]:
        def enter(app: Any, next_middleware: Callable[[Any], Any]) -> Any:
            event = self.event
            check_same_origin(event)
            request = request_of(event)
            if isinstance(permission, Permission):
                # Who is a member of it, as it stands in the path: an id has no other spelling.
                workspace = event["rawPath"].split("/")[_WORKSPACE]
                app.append_context(actor=self._access.member(request, workspace, permission))
            else:
                app.append_context(actor=self._access.account(request))
            return next_middleware(app)

        return enter


def only_once(access: Access, sessions_table: str, key: Callable[[], str]) -> Any:
    """Return the middleware that carries a POST with an ``Idempotency-Key`` out once, for whoever repeats it.

    ``key`` returns the deployment's key, under which answers are kept. A stored answer is for nobody who has left the
    workspace that it is about: they get ``workspace_not_found`` (404).
    """

    def requester(event: http_events.Event) -> str:
        request = request_of(event)
        if request.bearer.startswith(KEY_PREFIX):
            return access.member(request, WorkspaceId("")).key_id
        # A session may be another one by now, after a refresh: the person is the same.
        return access.account(request).id

    def admit(event: http_events.Event) -> None:
        path: str = event["rawPath"]
        workspace, _, rest = path.removeprefix(_WORKSPACES).partition("/")
        # A deleted workspace is restored by somebody who is not in it any more: the route itself asks who owned it.
        if path.startswith(_WORKSPACES) and rest != "restore":
            access.member(request_of(event), WorkspaceId(workspace))

    return Idempotency(sessions_table, key, requester, admit).middleware()
