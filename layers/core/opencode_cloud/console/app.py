"""The parts that all pages of a workspace share: permission checks, forms and messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.console.forms import Form, InvalidForm, read
from opencode_cloud.contracts.access import login_required, workspace_not_found
from opencode_cloud.contracts.ids import SessionId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http import requests
from opencode_cloud.http.pages import page, render
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import Forbidden, ServiceError
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.policies.models import InvalidDocument

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.console.page import ConsolePage
    from opencode_cloud.contracts.access import KnownWorkspace
    from opencode_cloud.contracts.actor import Actor

ROOT = "/console"
WORKSPACE = f"{ROOT}/<workspace_id>"
_WORKSPACE = 2  # index of the id in "/console/{workspace}".split("/")

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


class PageRequest(msgspec.Struct, frozen=True):
    """One request to a page of a workspace, by a member with the page's permission."""

    actor: Actor
    workspace: KnownWorkspace
    event: http_events.Event
    page: ConsolePage
    """The menu page that the request belongs to."""
    form: Form = msgspec.field(default_factory=Form)
    """The submitted form; empty for a GET."""
    words: str = ""
    """The message of a failed form; else empty."""
    status: int = HTTPStatus.OK
    faults: Sequence[DocumentFault] = ()
    error: ServiceError | None = None
    """The error for which a form was refused."""

    @property
    def base(self) -> str:
        """The path of the workspace's pages, without a slash at the end."""
        return f"{ROOT}/{self.workspace.id}"

    @property
    def failed(self) -> bool:
        """True when a submitted form was refused and is shown again."""
        return bool(self.words)

    def may(self, permission: str) -> bool:
        """Tell whether the actor's role includes a permission. Use it only for display: services check again."""
        return self.actor.may(Permission(permission))

    def query(self, name: str) -> str:
        """Return a query parameter, stripped."""
        return http_events.query(self.event, name).strip()


Handler = Callable[..., Response[str]]


class ConsoleApp:
    """Serves pages. Each route declares the permission that it needs, and the app checks it."""

    def __init__(
        self,
        access: Access,
        deployment_key: Callable[[], str],
        note_use: Callable[[SessionId], None],
        public_url: str,
    ) -> None:
        """``note_use`` receives the id of each session that is used."""
        self._access = access
        self._key = deployment_key
        self._note_use = note_use
        self._public_url = public_url
        self.menu: list[ConsolePage] = []
        """The pages of a workspace, in the order of the menu."""

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Use ``app`` for all routes that are added later."""
        self._resolver = app

    def add(self, page: ConsolePage, handler: Handler) -> PageRoutes:
        """Add a page to the menu, served by ``handler``. Return an object that adds further routes to the page."""
        self.menu.append(page)
        routes = PageRoutes(self, page)
        routes.get(page.path, handler, page.permission)
        return routes

    @property
    def event(self) -> http_events.Event:
        """The current request."""
        return self._resolver.current_event.raw_event

    def get(self, page: ConsolePage, path: str, handler: Handler, permission: Permission) -> None:
        """Add a GET at ``path`` below the workspace's path; ``handler`` takes the request and the path's ids."""

        def enter(workspace_id: WorkspaceId, **ids: str) -> Response[str]:
            return handler(self._page_request(page, workspace_id, permission), **ids)

        self._resolver.get(WORKSPACE + path)(enter)

    def post(self, page: ConsolePage, path: str, handler: Handler, permission: Permission, back: Handler) -> None:
        """Add the POST of a form. When it is refused, ``back`` shows the form's page again, with the reason."""

        def enter(workspace_id: WorkspaceId, **ids: str) -> Response[str]:
            if not requests.same_origin(self.event):
                raise Forbidden("cross_origin", "This form was not sent by a page of this site.")
            request = msgspec.structs.replace(self._page_request(page, workspace_id, permission), form=self._form())
            try:
                return handler(request, **ids)
            except ServiceError as error:
                faults = error.faults if isinstance(error, InvalidForm | InvalidDocument) else ()
                refused = msgspec.structs.replace(
                    request, words=error.message, status=error.status, faults=faults, error=error
                )
                return back(refused, **ids)

        self._resolver.post(WORKSPACE + path)(enter)

    def person(self) -> Actor:
        """Return who is signed in, by cookie only; raises ``login_required`` (401)."""
        person = self._access.account(self._credentials())
        self._note_use(person.session_id)
        return person

    def page(self, request: PageRequest, template: str = "", **values: Any) -> Response[str]:
        """Answer with a page of the workspace. The default template is the one of the menu page."""
        done = "" if request.failed else DONE.get(request.query("done"), "")
        frame = {"request": request, "base": request.base, "may": request.may, "menu": self.menu, "done": done}
        return self.plain_page(template or request.page.template, request.actor, request.status, **frame, **values)

    def plain_page(self, template: str, person: Actor, status: int = HTTPStatus.OK, **values: Any) -> Response[str]:
        """Answer with a page for a signed-in person; in its template, ``token(action)`` returns a form token."""
        binder, key = requests.cookie(self.event, requests.SESSION_COOKIE), self._key()

        def token(action: str) -> str:
            return requests.form_token(key, binder, action)

        return page(render(f"administration/{template}", person=person, token=token, **values), status=status)

    def base_url(self) -> str:
        """Return the URL of this deployment as the browser requested it."""
        return http_events.base_url(self.event, self._public_url)

    def _credentials(self) -> AccessRequest:
        request = requests.request_of(self.event)
        if not request.cookie:
            raise login_required()
        return AccessRequest(cookie=request.cookie, address=request.address, correlation_id=request.correlation_id)

    def _page_request(self, page: ConsolePage, workspace_id: WorkspaceId, permission: Permission) -> PageRequest:
        # An id has one spelling only: check exactly the text in the path.
        if self.event["rawPath"].split("/")[_WORKSPACE] != workspace_id:
            raise workspace_not_found()
        actor = self._access.member(self._credentials(), workspace_id, permission)
        workspace = self._access.workspace(workspace_id)
        if workspace is None:
            raise workspace_not_found()
        self._note_use(actor.session_id)
        return PageRequest(actor, workspace, self.event, page)

    def _form(self) -> Form:
        form = read(self.event)
        binder = requests.cookie(self.event, requests.SESSION_COOKIE)
        requests.check_form_token(self._key(), binder, self.event["rawPath"], form.one("token"))
        return form


class PageRoutes(msgspec.Struct, frozen=True):
    """Adds routes that belong to one menu page."""

    app: ConsoleApp
    page: ConsolePage

    def get(self, path: str, handler: Handler, permission: Permission) -> None:
        """See :meth:`ConsoleApp.get`."""
        self.app.get(self.page, path, handler, permission)

    def post(self, path: str, handler: Handler, permission: Permission, back: Handler) -> None:
        """See :meth:`ConsoleApp.post`."""
        self.app.post(self.page, path, handler, permission, back)
