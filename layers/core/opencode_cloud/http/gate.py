"""The gate of `/api/v1`: a route declares its permission, which the gate checks and the document shows."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from inspect import getdoc
from typing import TYPE_CHECKING, Any

from opencode_cloud.access.credentials import KEY_PREFIX
from opencode_cloud.contracts.access import account_required
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.requests import check_same_origin, request_of
from opencode_cloud.kit import http_events
from opencode_cloud.kit.idempotency import Idempotency

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access, AccessRequest
    from opencode_cloud.contracts.actor import Actor

ACCOUNT = "account"
"""Value in place of a permission: any signed-in person may enter."""

WORKSPACE = "/api/v1/workspaces/<workspace_id>"
"""Prefix of the routes of one workspace."""

EXTENSION = "x-permission"
_WORKSPACES = "/api/v1/workspaces/"
_WORKSPACE = 4  # index of the id in /api/v1/workspaces/{workspace}; index 0 is before the first slash


class Gate:
    """Adds routes to an app, and authenticates their requests."""

    def __init__(self, app: APIGatewayHttpResolver, access: Access) -> None:
        self._app: Any = app  # Powertools leaves parts of its types unknown
        self._access = access

    @property
    def actor(self) -> Actor:
        """The authenticated sender of the current request."""
        return self._app.context["actor"]

    @property
    def event(self) -> http_events.Event:
        """The current request."""
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
        """Add a route (``GET /api/v1/...``) that needs ``permission``, or any signed-in person for ``ACCOUNT``.

        Routes with a permission lie under ``/api/v1/workspaces/<workspace_id>``. Refused requests do not reach the
        handler.
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
        )(handler)
        self._app.entrance.guard(method, rule, self._enter(permission))

    def _enter(self, permission: Permission | str) -> Callable[[Any], None]:
        def enter(app: Any) -> None:
            event = self.event
            check_same_origin(event)
            request = request_of(event)
            if isinstance(permission, Permission):
                # Check the membership by the id as written in the path: an id has only one spelling.
                workspace = event["rawPath"].split("/")[_WORKSPACE]
                app.append_context(actor=self._access.member(request, workspace, permission))
            else:
                app.append_context(actor=self._account(request))

        return enter

    def _account(self, request: AccessRequest) -> Actor:
        """Return the person; raises ``account_required`` (403) for a valid key."""
        if request.bearer.startswith(KEY_PREFIX):
            self._access.member(request, WorkspaceId(""))
            raise account_required()
        return self._access.account(request)


def only_once(access: Access, sessions_table: str, key: Callable[[], str]) -> Any:
    """Return the middleware that executes a POST with an ``Idempotency-Key`` once and repeats the first answer.

    ``key`` returns the deployment's key, which encrypts the stored answers. A caller who has left the workspace of a
    stored answer gets ``workspace_not_found`` (404) instead.
    """

    def requester(event: http_events.Event) -> str:
        request = request_of(event)
        if request.bearer.startswith(KEY_PREFIX):
            return access.member(request, WorkspaceId("")).key_id
        # By account, not by session: a retry may come from another session of the same person, after a refresh.
        return access.account(request).id

    def admit(event: http_events.Event) -> None:
        path: str = event["rawPath"]
        workspace, _, rest = path.removeprefix(_WORKSPACES).partition("/")
        # A deleted workspace has no members, so `restore` checks the ownership in its route.
        if path.startswith(_WORKSPACES) and rest != "restore":
            access.member(request_of(event), WorkspaceId(workspace))

    return Idempotency(sessions_table, key, requester, admit).middleware()
