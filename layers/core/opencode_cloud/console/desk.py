"""What every page of a workspace shares: who may open it, its forms, and how it says what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.access.service import Request
from opencode_cloud.console.forms import Form, InvalidForm, read
from opencode_cloud.contracts.access import login_required, workspace_not_found
from opencode_cloud.contracts.ids import SessionId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http import requests
from opencode_cloud.http.pages import page, render
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import Forbidden, ServiceError
from opencode_cloud.kit.json_documents import Fault
from opencode_cloud.policies.models import InvalidDocument

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.contracts.access import KnownWorkspace
    from opencode_cloud.contracts.actor import Actor

ROOT = "/console"
WORKSPACE = f"{ROOT}/<workspace_id>"
_WORKSPACE = 2  # /console/{workspace}: the part of the path, from 0 before the first slash

DONE = {
    "invited": "Invitation sent.",
    "resent": "New link sent. The old link no longer works.",
    "withdrawn": "Invitation withdrawn. Its link no longer works.",
    "role": "Role changed.",
    "removed": "Member removed. Their keys and sessions no longer reach this workspace.",
    "revoked": "Key revoked.",
    "machine": "Service account created. It needs a key before it can do anything.",
    "disabled": "Service account disabled. Its keys are refused.",
    "enabled": "Service account enabled. Its keys work again.",
    "published": "Published. Clients get it at their next start. The server enforces it within seconds.",
    "restored": "The older version is published again.",
}
"""Messages after a submitted form, by the value of the query ``done``. A URL cannot inject another text."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a page of a workspace, by somebody who may open it."""

    actor: Actor
    place: KnownWorkspace
    event: http_events.Event
    form: Form = field(default_factory=Form)
    """What was sent; empty for a GET."""
    words: str = ""
    """What went wrong with it."""
    status: int = HTTPStatus.OK
    faults: Sequence[Fault] = ()

    @property
    def base(self) -> str:
        """The address of the workspace's pages."""
        return f"{ROOT}/{self.place.id}"

    @property
    def failed(self) -> bool:
        """Whether a form was sent that could not be used, and is shown again."""
        return bool(self.words)

    def may(self, permission: str) -> bool:
        """Tell whether the actor's role includes a permission. For what is shown: services and entrances check."""
        return self.actor.may(Permission(permission))

    def query(self, name: str) -> str:
        """Return a parameter of the address."""
        return http_events.query(self.event, name).strip()


Handler = Callable[..., Response[str]]


class Desk:
    """Adds pages to an app: each declares the permission that it takes, which is what is checked."""

    def __init__(
        self,
        access: Access,
        deployment_key: Callable[[], str],
        note_use: Callable[[SessionId], None],
        public_url: str,
    ) -> None:
        """``note_use`` is told which sessions are used."""
        self._access = access
        self._key = deployment_key
        self._note_use = note_use
        self._public_url = public_url

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add pages to ``app`` from now on."""
        self._app = app

    @property
    def event(self) -> http_events.Event:
        """The request that is being answered."""
        return self._app.current_event.raw_event

    def get(self, path: str, handler: Handler, permission: Permission) -> None:
        """Add a page at ``path`` under the workspace's address; ``handler`` takes the visit and the path's ids."""

        def enter(workspace_id: WorkspaceId, **ids: str) -> Response[str]:
            return handler(self._visit(workspace_id, permission), **ids)

        self._app.get(WORKSPACE + path)(enter)

    def post(self, path: str, handler: Handler, permission: Permission, back: Handler) -> None:
        """Add what a form does; where that is refused, ``back`` shows the form's page again, with the reason."""

        def enter(workspace_id: WorkspaceId, **ids: str) -> Response[str]:
            if not requests.same_origin(self.event):
                raise Forbidden("cross_origin", "This form was not sent by a page of this site.")
            visit = replace(self._visit(workspace_id, permission), form=self._form())
            try:
                return handler(visit, **ids)
            except ServiceError as error:
                faults = error.faults if isinstance(error, InvalidForm | InvalidDocument) else ()
                return back(replace(visit, words=error.message, status=error.status, faults=faults), **ids)

        self._app.post(WORKSPACE + path)(enter)

    def person(self) -> Actor:
        """Return who is signed in, by cookie only; raises ``login_required`` (401)."""
        found = self._access.account(self._request())
        self._note_use(found.session_id)
        return found

    def page(self, visit: Visit, template: str, **values: Any) -> Response[str]:
        """Answer with a page of the workspace from ``web/templates/administration``."""
        done = "" if visit.failed else DONE.get(visit.query("done"), "")
        return self.plain_page(
            template, visit.actor, visit.status, visit=visit, base=visit.base, may=visit.may, done=done, **values
        )

    def plain_page(self, template: str, person: Actor, status: int = HTTPStatus.OK, **values: Any) -> Response[str]:
        """Answer with a page for somebody who is signed in; ``token(action)`` writes the tokens of its forms."""
        binder, key = requests.cookie(self.event, requests.SESSION_COOKIE), self._key()

        def token(action: str) -> str:
            return requests.form_token(key, binder, action)

        return page(render(f"administration/{template}", person=person, token=token, **values), status=status)

    def base_url(self) -> str:
        """Return the address of this deployment as the person's browser knows it."""
        return http_events.base_url(self.event, self._public_url)

    def _request(self) -> Request:
        request = requests.request_of(self.event)
        if not request.cookie:
            raise login_required()
        return Request(cookie=request.cookie, address=request.address, correlation_id=request.correlation_id)

    def _visit(self, workspace_id: WorkspaceId, permission: Permission) -> Visit:
        # An id has no other spelling: what is checked is what stands in the path.
        if self.event["rawPath"].split("/")[_WORKSPACE] != workspace_id:
            raise workspace_not_found()
        actor = self._access.member(self._request(), workspace_id, permission)
        place = self._access.workspace(workspace_id)
        if place is None:
            raise workspace_not_found()
        self._note_use(actor.session_id)
        return Visit(actor, place, self.event)

    def _form(self) -> Form:
        form = read(self.event)
        binder = requests.cookie(self.event, requests.SESSION_COOKIE)
        requests.check_form_token(self._key(), binder, self.event["rawPath"], form.one("token"))
        return form
