"""The HTTP of the console plane: what ``functions/console`` answers."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from opencode_cloud import wiring
from opencode_cloud.access.service.authentication import KEY_PREFIX
from opencode_cloud.audit.routes import AuditRoutes
from opencode_cloud.identity.frame import pages_app
from opencode_cloud.identity.web import request_of
from opencode_cloud.keys.routes import KeysRoutes
from opencode_cloud.kit import http, settings
from opencode_cloud.kit.api import api_app, limited_answer
from opencode_cloud.kit.app import answer
from opencode_cloud.kit.documents import DocumentRoutes
from opencode_cloud.kit.idempotency import Idempotency
from opencode_cloud.kit.limits import RateLimiter
from opencode_cloud.policies.routes import PolicyRoutes
from opencode_cloud.workspaces.routes import TeamRoutes

API = "/api/"
WORKSPACES = "/api/v1/workspaces/"


def api() -> APIGatewayHttpResolver:
    """Return the app of `/api/v1`, but for shares, which have a function of their own, and of the API's documents."""
    app: Any = api_app()
    app.use([Idempotency(settings.text("SESSIONS_TABLE"), wiring.deployment_key, requester, admit).middleware()])
    access = wiring.access()
    team = wiring.team()
    TeamRoutes(team, access).mount(app)
    KeysRoutes(team.keys, team.credentials, access).mount(app)
    PolicyRoutes(wiring.publisher(), access).mount(app)
    AuditRoutes(wiring.audit_reading(), access).mount(app)
    DocumentRoutes().mount(app)
    return app


class Console:
    """Answers requests: the API by its app, everything else by that of the pages."""

    def __init__(self) -> None:
        self.api = api()
        self._pages = pages_app()
        wiring.identity_pages().mount(self._pages)
        wiring.invitation_pages().mount(self._pages)
        wiring.administration_pages().mount(self._pages)
        self._limiter = RateLimiter(settings.text("SESSIONS_TABLE"))

    def answer(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one HTTP request."""
        if event["rawPath"].startswith(API):
            return limited_answer(self.api, self._limiter, event, context)
        return answer(self._pages, event, context)


def requester(event: http.Event) -> str:
    """Return who asks, by an id that outlives a token, so that a request can be repeated after a refresh."""
    request = request_of(event)
    if request.bearer.startswith(KEY_PREFIX):
        return wiring.access().member(request, "").key
    return wiring.access().account(request).id


def admit(event: http.Event) -> None:
    """Refuse who is not in the workspace that a request is about; raises ``workspace_not_found`` (404)."""
    path = event["rawPath"]
    # A deleted workspace is restored by somebody who is not in it any more: the route itself asks who owned it.
    if path.startswith(WORKSPACES) and not path.endswith("/restore"):
        wiring.access().member(request_of(event), path.removeprefix(WORKSPACES).partition("/")[0])
