"""The HTTP of the console plane: what ``functions/console`` answers."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from opencode_cloud.audit.routes import AuditRoutes
from opencode_cloud.budgets.routes import BudgetsRoutes
from opencode_cloud.catalogue.routes import ModelRoutes
from opencode_cloud.composition import control_plane
from opencode_cloud.http.api import api_app, limited_answer
from opencode_cloud.http.documents import DocumentRoutes
from opencode_cloud.http.gate import only_once
from opencode_cloud.http.pages import pages_app
from opencode_cloud.keys.routes import KeysRoutes
from opencode_cloud.kit import settings
from opencode_cloud.kit.app import answer
from opencode_cloud.kit.limits import RateLimiter
from opencode_cloud.policies.routes import PolicyRoutes
from opencode_cloud.usage.routes import UsageRoutes
from opencode_cloud.workspaces.routes import TeamRoutes

API = "/api/"


def api() -> APIGatewayHttpResolver:
    """Return the app of `/api/v1`, but for shares, which have a function of their own, and of the API's documents."""
    app: Any = api_app()
    access = control_plane.access()
    app.use([only_once(access, settings.text("SESSIONS_TABLE"), control_plane.deployment_key)])
    team = control_plane.team()
    TeamRoutes(team, access).mount(app)
    KeysRoutes(team.keys, team.credentials, access).mount(app)
    PolicyRoutes(control_plane.publisher(), access).mount(app)
    AuditRoutes(control_plane.audit_reading(), access).mount(app)
    BudgetsRoutes(control_plane.budgeting(), access).mount(app)
    public_url = settings.text("PUBLIC_URL", "")
    ModelRoutes(control_plane.catalogue(), access, control_plane.deployment_key, public_url).mount(app)
    UsageRoutes(control_plane.books().reading, control_plane.books().exports, access).mount(app)
    DocumentRoutes().mount(app)
    return app


class Console:
    """Answers requests: the API by its app, everything else by that of the pages."""

    def __init__(self) -> None:
        self.api = api()
        self._pages = pages_app()
        control_plane.identity_pages().mount(self._pages)
        control_plane.invitation_pages().mount(self._pages)
        control_plane.administration_pages().mount(self._pages)
        self._limiter = RateLimiter(settings.text("SESSIONS_TABLE"))

    def answer(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one HTTP request."""
        if event["rawPath"].startswith(API):
            return limited_answer(self.api, self._limiter, event, context)
        return answer(self._pages, event, context)
