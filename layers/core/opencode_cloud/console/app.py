"""The parts that all pages of a workspace share: permission checks, forms and messages."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.console.field_labels import FaultLine, line_of
from opencode_cloud.console.forms import Form, faults_of, read
from opencode_cloud.contracts.access import login_required, workspace_not_found
from opencode_cloud.contracts.ids import SessionId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission, allows
from opencode_cloud.http import requests
from opencode_cloud.http.pages import page, render, see
from opencode_cloud.http.paths import login_path
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import Conflict, Forbidden, ServiceError, Unauthorized
from opencode_cloud.kit.idempotency import Idempotency
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.policies.models import InvalidDocument

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.console.page import ConsolePage
    from opencode_cloud.contracts.access import KnownMember, KnownWorkspace
    from opencode_cloud.contracts.actor import Actor

ROOT = "/console"
WORKSPACE = f"{ROOT}/<workspace_id>"
_WORKSPACE = 2  # index of the id in "/console/{workspace}".split("/")

DONE = {
    "coupon": gettext_noop("Coupon redeemed."),
    "export": gettext_noop("Export requested. It is listed below, and its files follow when they are written."),
    "schedule": gettext_noop("Schedule saved."),
    "unscheduled": gettext_noop("No exports are scheduled any more. Existing exports stay."),
    "reload": gettext_noop("Automatic reloads saved."),
    "plan": gettext_noop("Plan changed."),
    "refund": gettext_noop("The refund was asked for. The operator of this deployment decides."),
    "pinged": gettext_noop("A test is on its way to the webhook. Reload the page to see its delivery."),
    "retried": gettext_noop("Automatic reloads go on. A low balance is reloaded within a minute."),
    "invited": gettext_noop("Invitation sent."),
    "resent": gettext_noop("New link sent. The old link no longer works."),
    "withdrawn": gettext_noop("Invitation withdrawn. Its link no longer works."),
    "allinvited": gettext_noop("Invitations sent."),
    "roles": gettext_noop("Roles changed."),
    "same": gettext_noop("No role was changed."),
    "removed": gettext_noop("Member removed. Their keys and sessions no longer reach this workspace."),
    "group": gettext_noop("Group created. Add members to it."),
    "changedgroup": gettext_noop("Group changed. It applies within seconds."),
    "grouped": gettext_noop("Members changed. Their limits change within seconds."),
    "samemembers": gettext_noop("No member was changed."),
    "ungrouped": gettext_noop("Group deleted, with its budgets and its rules for models."),
    "revoked": gettext_noop("Key revoked."),
    "narrowed": gettext_noop("Key changed. It applies within seconds."),
    "machine": gettext_noop("Service account created. It needs a key before it can do anything."),
    "disabled": gettext_noop("Service account disabled. Its keys are refused."),
    "enabled": gettext_noop("Service account enabled. Its keys work again."),
    "published": gettext_noop("Published. Clients get it at their next start. The server enforces it within seconds."),
    "restored": gettext_noop("The older version is published again."),
    "share": gettext_noop("Share changed. It applies at once."),
    "unshared": gettext_noop("Revoked. The links no longer work, and the content is being removed."),
    "budget": gettext_noop("Budget created. It applies within seconds."),
    "limit": gettext_noop("Budget changed. It applies within seconds."),
    "unlimited": gettext_noop("Budget deleted. All other budgets still apply."),
    "webhook": gettext_noop("Alerts are only mailed from now on."),
    "provider": gettext_noop("Key stored and tested. The result is shown beside it."),
    "tested": gettext_noop("Key tested. The result is shown beside it."),
    "providergone": gettext_noop("Key removed."),
    "settings": gettext_noop("Settings saved."),
    "domain": gettext_noop("Domain added. Publish the record, then verify it."),
    "verified": gettext_noop("Domain verified."),
    "undomain": gettext_noop("Domain removed. People who joined by it stay members."),
    "transferred": gettext_noop("Workspace transferred. You are an admin now."),
}
"""Messages after a submitted form, by the value of the query ``done``. A URL cannot inject another text."""

UNSENT = "unsent"
"""The query parameter of a page whose form was sent without a session."""
SIGNED_OUT = gettext_noop(
    "Your session ended before the form was sent, and nothing was changed. Check the form, and send it again."
)
STALE = gettext_noop(
    "This form is no longer valid, because you signed in again after you opened it. Check it and send it again."
)
ONCE = "once"
"""The field with the random value that makes a form count once."""


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
    listed: bool = False
    """True if the page lists the faults at its top, with links to their fields."""

    @property
    def base(self) -> str:
        """The path of the workspace's pages, without a slash at the end."""
        return f"{ROOT}/{self.workspace.id}"

    @property
    def failed(self) -> bool:
        """True when a submitted form was refused and is shown again."""
        return bool(self.words)

    @property
    def summary(self) -> Sequence[FaultLine]:
        """The faults as the page lists them at its top."""
        return [line_of(fault) for fault in self.faults]

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
        answers: Idempotency | None = None,
        *,
        signs_out: bool = True,
        operates: Callable[[Actor], bool] | None = None,
    ) -> None:
        """Store the services.

        Args:
            access: Authenticates people.
            deployment_key: Returns the key of form tokens.
            note_use: Receives the id of each session that is used.
            public_url: The URL of this deployment; empty: the one that the browser used.
            answers: Keeps the answers to forms.
            signs_out: False if ``deployment_key`` is not the key of the form that ends a session.
            operates: Tells whether a person may open the operators' pages; None: the deployment has none.
        """
        self._access = access
        self._key = deployment_key
        self._note_use = note_use
        self._public_url = public_url
        self._answers = answers
        self._signs_out = signs_out
        self._operates = operates
        self.menu: list[ConsolePage] = []
        """The pages of a workspace, in the order of the menu."""

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Use ``app`` for all routes that are added later."""
        self._resolver = app

    def add(self, page: ConsolePage, handler: Handler) -> PageRoutes:
        """Add a page to the menu, served by ``handler``. Return an object that adds further routes to the page."""
        if page not in self.menu:
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
            self.check_origin()
            try:
                request = self._page_request(page, workspace_id, permission)
            except Unauthorized:
                return see(login_path(f"{ROOT}/{workspace_id}{page.path}?{UNSENT}=1"))
            form = read(self.event)
            request = msgspec.structs.replace(request, form=form)
            try:
                self.check_token(form)
            except Forbidden as error:
                return self._stale(request, error, back, ids)
            try:
                return self.once(request.actor, form, lambda: handler(request, **ids))
            except ServiceError as error:
                return back(refused(request, error), **ids)

        self._resolver.post(WORKSPACE + path)(enter)

    def check_origin(self) -> None:
        """Raise ``cross_origin`` (403) for a form of another site."""
        if not requests.same_origin(self.event):
            raise Forbidden("cross_origin", "This form was not sent by a page of this site.")

    def person(self) -> Actor:
        """Return who is signed in, by cookie only; raises ``login_required`` (401)."""
        person = self._access.account(self._credentials())
        self._note_use(person.session_id)
        return person

    def page(self, request: PageRequest, template: str = "", *, polls: bool = False, **values: Any) -> Response[str]:
        """Answer with a page of the workspace. The default template is the one of the menu page.

        With ``polls``, scripts of the page may fetch from this site.
        """
        done = "" if request.failed else DONE.get(request.query("done"), "")
        frame = {
            "request": request,
            "base": request.base,
            "may": request.may,
            "menu": self._sections(request),
            "workspaces": self._elsewhere(request),
            "done": done,
            "unsent": SIGNED_OUT if request.query(UNSENT) and not request.failed else "",
        }
        name = template or request.page.template
        return self.plain_page(name, request.actor, request.status, polls=polls, **frame, **values)

    def plain_page(
        self, template: str, person: Actor, status: int = HTTPStatus.OK, *, polls: bool = False, **values: Any
    ) -> Response[str]:
        """Answer with a page for a signed-in person; in its template, ``token(action)`` returns a form token."""
        binder, key = requests.cookie(self.event, requests.SESSION_COOKIE), self._key()

        def token(action: str) -> str:
            return requests.form_token(key, binder, action)

        operates = self._operates is not None and self._operates(person)
        shared = {
            "person": person,
            "token": token,
            "once": _random,
            "signs_out": self._signs_out,
            "operates": operates,
        }
        body = render(f"administration/{template}", **shared, **values)
        return page(body, status=status, connect="'self'" if polls else "'none'")

    def leave(self, request: PageRequest, url: str) -> Response[str]:
        """Answer with a page that leads to another site. A redirect would break the rule of the form's own page."""
        response = self.page(request, "leave.html", url=url)
        response.headers["Refresh"] = f"0; url={url}"
        return response

    def form(self) -> Form:
        """Return the submitted form; raises ``stale_form`` (403) if no page of this browser's session has made it."""
        form = read(self.event)
        self.check_token(form)
        return form

    def check_token(self, form: Form) -> None:
        """Raise ``stale_form`` (403) for a form that no page of this browser's session has made."""
        binder = requests.cookie(self.event, requests.SESSION_COOKIE)
        requests.check_form_token(self._key(), binder, self.event["rawPath"], form.one("token"))

    def once(self, person: Actor, form: Form, answer: Callable[[], Response[str]]) -> Response[str]:
        """Answer a form that counts once. The same form, sent again by a reload or a second click, changes nothing."""
        value = form.one(ONCE)
        if self._answers is None or not value:
            return answer()
        # Changed fields make it another form, such as after the browser's button "back".
        sent = hashlib.sha256(http_events.raw_body(self.event)).hexdigest()
        try:
            return self._answers.answer_once(self.event, person.account_id, f"form:{sent}", answer)
        except Conflict as error:
            if error.code != "idempotency_in_progress":
                raise
            raise Conflict(
                "form_in_progress", "This form was sent twice. Wait a moment, then reload the page."
            ) from error

    def _elsewhere(self, request: PageRequest) -> list[tuple[KnownMember, KnownWorkspace, str]]:
        """Return the person's workspaces, each with the path of this page there, or of the overview."""
        permission = request.page.permission
        return [
            (member, workspace, request.page.path if allows(member.role, None, permission) else "")
            for member, workspace in self._access.memberships(request.actor.account_id)
        ]

    def _sections(self, request: PageRequest) -> dict[str, list[ConsolePage]]:
        """Return the pages that the actor may open, by the headings of the menu."""
        sections: dict[str, list[ConsolePage]] = {}
        for each in self.menu:
            if request.may(each.permission):
                sections.setdefault(each.group, []).append(each)
        return sections

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

    def _stale(self, request: PageRequest, error: Forbidden, back: Handler, ids: dict[str, str]) -> Response[str]:
        """Show a form of an earlier session again, with what was typed and a valid token."""
        try:
            return back(msgspec.structs.replace(request, words=STALE, status=error.status, error=error), **ids)
        except ServiceError:
            raise error from None


def form_answers(sessions_table: str, key: Callable[[], str]) -> Idempotency:
    """Return the records of answered forms; ``key`` returns the deployment's key."""
    return Idempotency(sessions_table, key, lambda _event: "", lambda _event: None)


def refused(request: PageRequest, error: ServiceError) -> PageRequest:
    """Return the request for the page that shows a refused form again, with its faults."""
    if isinstance(error, InvalidDocument):
        return msgspec.structs.replace(
            request, words=error.message, status=error.status, faults=error.faults, error=error
        )
    faults = faults_of(error)
    words = (
        gettext_noop("Nothing was changed. Correct what is marked.") if faults else _(error.sentence, **error.values)
    )
    return msgspec.structs.replace(
        request, words=words, status=error.status, faults=faults, error=error, listed=bool(faults)
    )


def _random() -> str:
    return secrets.token_urlsafe(12)


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
