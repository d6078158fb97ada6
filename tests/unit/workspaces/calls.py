"""Calls of `/api/v1` in the test's own process: the real resolver, routes, rules and database."""

import json
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from opencode_cloud.access.service import Access, AccessRequest
from opencode_cloud.contracts.access import login_required, not_permitted, workspace_not_found
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.api import api_app
from opencode_cloud.keys.routes import KeysRoutes
from opencode_cloud.workspaces.routes import TeamRoutes
from tests.unit.workspaces.team import Place


class Acquainted(Access):
    """Authenticates people by their account's id as bearer, and registered actors of keys."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.people: dict[str, Actor] = {}

    def account(self, request: AccessRequest) -> Actor:
        found = self.people.get(request.bearer)
        if found is None or found.credential is CredentialKind.KEY:
            raise login_required()
        return found

    def member(self, request: AccessRequest, workspace_id: WorkspaceId, *permissions: Permission) -> Actor:
        actor = self.people.get(request.bearer)
        if actor is None:
            raise login_required()
        if actor.kind is ActorKind.ACCOUNT:
            mine = {each.id: each for each in self._place.team.workspaces.memberships(actor.account_id)}
            if workspace_id not in mine or mine[workspace_id].deleted_at:
                raise workspace_not_found()
            actor = self._place.member(actor, workspace_id)
        elif actor.workspace_id != workspace_id:
            raise workspace_not_found()
        for permission in permissions:
            if not actor.may(permission):
                raise not_permitted(permission)
        return actor


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


class Api:
    """The API of a workspace."""

    def __init__(self, place: Place) -> None:
        self.app: Any = api_app()
        self.access = Acquainted(place)
        TeamRoutes(place.team, self.access).mount(self.app)
        KeysRoutes(place.team.keys, place.team.credentials, self.access).mount(self.app)

    def knows(self, actor: Actor) -> str:
        """Register ``actor``, and return a bearer for it."""
        bearer = f"bearer-{len(self.access.people)}"
        self.access.people[bearer] = replace(actor)
        return bearer

    def __call__(
        self, bearer: str, route: str, body: Any = None, query: dict[str, str] | None = None, **headers: str
    ) -> Answer:
        """Send ``route`` (``GET /api/v1/...``) with a body as JSON."""
        return self.send(bearer, route, None if body is None else json.dumps(body), query, **headers)

    def send(
        self, bearer: str, route: str, body: str | None = None, query: dict[str, str] | None = None, **headers: str
    ) -> Answer:
        """Send ``route`` with a body as it is."""
        method, _, path = route.partition(" ")
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "queryStringParameters": query or {},
            "headers": {
                "authorization": f"Bearer {bearer}",
                "content-type": "application/json",
                "host": "test.example",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            "body": body,
            "isBase64Encoded": False,
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
                "stage": "$default",
                "requestId": "request",
                "domainName": "test.example",
            },
        }
        answer = self.app.resolve(event, None)
        text = answer.get("body") or ""
        found: Any = answer.get("headers") or {}
        headers = {name.lower(): value for name, value in found.items()}
        is_file = headers.get("content-type", "").startswith(("text/csv", "application/pdf"))
        content = text if is_file else json.loads(text) if text else None
        return Answer(answer["statusCode"], headers, content)
