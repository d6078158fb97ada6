"""The page of keys and service accounts. With `key:manage` it shows all keys, else the actor's own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.forms import InvalidForm, checked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import KeyId, ServiceAccountId
from opencode_cloud.contracts.permissions import KeyScope, Permission
from opencode_cloud.http.pages import see
from opencode_cloud.keys.requests import KeyRequest
from opencode_cloud.keys.service import CreateKey
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_cursor, page_of
from opencode_cloud.workspaces.requests import NewServiceAccount

if TYPE_CHECKING:
    from opencode_cloud.keys.service import Keys
    from opencode_cloud.workspaces.service import ServiceAccounts

LIFETIMES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year", "": "never"}
"""Lifetimes of a new key that the form offers, in days."""
SHOWN_MACHINES = 200
SCOPES = {
    KeyScope.INFERENCE: "call models",
    KeyScope.USAGE: "read usage and members",
    KeyScope.ADMIN: "manage the workspace through the API, within the holder's role",
}


class KeyPages:
    """Pages of keys and service accounts."""

    PAGE: ClassVar[ConsolePage] = menu.KEYS

    def __init__(self, app: ConsoleApp, keys: Keys, machines: ServiceAccounts) -> None:
        self._app = app
        self._keys = keys
        self._machines = machines

    def mount(self) -> None:
        """Add every page."""
        routes = self._app.add(self.PAGE, self.show)
        get, post = routes.get, routes.post
        post("/keys", self.create, Permission.KEY_OWN, self.show)
        get("/keys/<key_id>/revoke", self.ask_revoke, Permission.KEY_OWN)
        post("/keys/<key_id>/revoke", self.revoke, Permission.KEY_OWN, self.show)
        manage, one = Permission.SERVICE_ACCOUNT_MANAGE, "/service-accounts/<machine>"
        post("/service-accounts", self.create_machine, manage, self.show)
        post(f"{one}/disable", self.disable, manage, self.show)
        post(f"{one}/enable", self.enable, manage, self.show)

    def show(self, request: PageRequest, **_ids: str) -> Response[str]:
        """``GET .../keys``: the keys that the actor may read, newest first, and a form for a new key."""
        after = decode_cursor(request.query("cursor"), tuple[str])
        own = request.query("own") == "1"
        rows = self._keys.of_workspace(
            request.actor, request.workspace.id, own=own, after=after[0] if after else None, limit=DEFAULT_LIMIT + 1
        )
        readable = request.may(Permission.SERVICE_ACCOUNT_READ)
        machines = list(self._machines.of_workspace(request.workspace.id, limit=SHOWN_MACHINES)) if readable else []
        return self._app.page(
            request,
            keys=page_of(rows, DEFAULT_LIMIT, lambda row: (row.id,), lambda row: row),
            own=own,
            machines=machines,
            scopes=SCOPES,
            lifetimes=LIFETIMES,
        )

    def create(self, request: PageRequest) -> Response[str]:
        """``POST .../keys``: create a key. The secret is shown on the answer's page only."""
        form = request.form
        days = form.one("days")
        if days not in LIFETIMES:
            raise InvalidForm([DocumentFault(path="/days", message="choose one of the offered lifetimes")])
        body = checked(
            KeyRequest,
            {
                "name": form.one("name"),
                "scopes": form.many("scopes"),
                "service_account_id": form.one("holder") or None,
                "models": form.lines("models") or None,
                "networks": form.lines("networks") or None,
                "expires_at": utc_now() + timedelta(days=int(days)) if days else None,
            },
        )
        new_key = CreateKey(
            name=body.name,
            scopes=body.scopes,
            service_account_id=body.service_account_id,
            models=body.models,
            networks=body.networks,
            expires_at=body.expires_at,
        )
        key = self._keys.create(request.actor, request.workspace.id, new_key)
        return self._app.page(request, "new_key.html", key=key)

    def ask_revoke(self, request: PageRequest, key_id: KeyId) -> Response[str]:
        """``GET .../keys/{key_id}/revoke``: explain the effect of revoking and ask for confirmation."""
        key = self._keys.get(request.actor, request.workspace.id, key_id)
        return self._app.page(request, "revoke_key.html", key=key)

    def revoke(self, request: PageRequest, key_id: KeyId) -> Response[str]:
        """``POST .../keys/{key_id}/revoke``."""
        self._keys.revoke(request.actor, request.workspace.id, key_id)
        return see(f"{request.base}/keys?done=revoked")

    def create_machine(self, request: PageRequest) -> Response[str]:
        """``POST .../service-accounts``."""
        body = checked(NewServiceAccount, {"name": request.form.one("name")})
        self._machines.create(request.actor, request.workspace.id, body.name)
        return see(f"{request.base}/keys?done=machine")

    def disable(self, request: PageRequest, machine: str) -> Response[str]:
        """``POST .../service-accounts/{machine}/disable``."""
        self._machines.change(request.actor, request.workspace.id, ServiceAccountId(machine), disabled=True)
        return see(f"{request.base}/keys?done=disabled")

    def enable(self, request: PageRequest, machine: str) -> Response[str]:
        """``POST .../service-accounts/{machine}/enable``."""
        self._machines.change(request.actor, request.workspace.id, ServiceAccountId(machine), disabled=False)
        return see(f"{request.base}/keys?done=enabled")
