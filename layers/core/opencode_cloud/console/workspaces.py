"""The person's workspaces: list, create and restore them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.console.app import ROOT, SIGNED_OUT, STALE, UNSENT, ConsoleApp
from opencode_cloud.console.forms import read
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.http.pages import see
from opencode_cloud.http.paths import login_path
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import Forbidden, ServiceError, Unauthorized

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.workspaces.service import Workspaces


class WorkspacePages:
    """Pages of a signed-in person outside of any workspace."""

    def __init__(self, app: ConsoleApp, access: Access, workspaces: Workspaces) -> None:
        self._app = app
        self._access = access
        self._workspaces = workspaces

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every page."""
        app.get(ROOT)(self.list)
        app.post(ROOT)(self.create)
        app.get(f"{ROOT}/new")(self.ask_name)
        app.post(f"{ROOT}/<workspace_id>/restore")(self.restore)

    def list(self) -> Response[str]:
        """``GET /console``: list the person's workspaces; with only one, redirect to it."""
        person = self._app.person()
        memberships = self._access.memberships(person.account_id)
        deleted = [each for each in self._workspaces.memberships(person.account_id) if each.deleted_at]
        if len(memberships) == 1 and not deleted:
            return see(f"{ROOT}/{memberships[0][1].id}")
        return self._app.plain_page("workspaces.html", person, workspaces=memberships, deleted=deleted)

    def ask_name(self) -> Response[str]:
        """``GET /console/new``: the form of a new workspace."""
        asked_again = http_events.query(self._app.event, UNSENT)
        return self._ask(self._app.person(), unsent=SIGNED_OUT if asked_again else "")

    def create(self) -> Response[str]:
        """``POST /console``: create a workspace that the person owns, and open it."""
        self._app.check_origin()
        try:
            person = self._app.person()
        except Unauthorized:
            return see(login_path(f"{ROOT}/new?{UNSENT}=1"))
        form = read(self._app.event)
        name = form.one("name")
        try:
            self._app.check_token(form)
        except Forbidden as error:
            return self._ask(person, name, STALE, error.status)
        try:
            return self._app.once(person, form, lambda: self._create(person, name))
        except ServiceError as error:
            return self._ask(person, name, error.message, error.status)

    def restore(self, workspace_id: WorkspaceId) -> Response[str]:
        """``POST /console/{workspace_id}/restore``: restore a deleted workspace that the person owns."""
        self._app.check_origin()
        person = self._app.person()
        self._app.form()
        self._workspaces.restore(person, workspace_id)
        return see(f"{ROOT}/{workspace_id}")

    def _create(self, person: Actor, name: str) -> Response[str]:
        return see(f"{ROOT}/{self._workspaces.create(person, name).id}")

    def _ask(
        self, person: Actor, name: str = "", words: str = "", status: int = HTTPStatus.OK, unsent: str = ""
    ) -> Response[str]:
        return self._app.plain_page("new_workspace.html", person, status, name=name, words=words, unsent=unsent)
