"""Pages of identity: sign-in, approval of devices, and the person's own account."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.contracts.access import login_required, workspace_not_found
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
from opencode_cloud.http import requests
from opencode_cloud.http.agents import describe
from opencode_cloud.http.pages import page, problem, render, see
from opencode_cloud.http.paths import login_path, safe_path
from opencode_cloud.identity.models import DeviceState
from opencode_cloud.identity.routes import oauth_request, origin_of
from opencode_cloud.identity.service.devices import normal_user_code, shown_user_code
from opencode_cloud.identity.service.exchanges import OAuthResponse
from opencode_cloud.identity.service.sessions import WEB_SECONDS
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import BadRequest, Forbidden, NotFound, ServiceError, TooManyRequests, Unauthorized
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.mail_addresses import canonical_address
from opencode_cloud.kit.rate_limits import RateLimit, RateLimiter
from opencode_cloud.workspaces.addresses import clean_address

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.identity.models import VerifiedPerson
    from opencode_cloud.identity.service.challenges import Challenges
    from opencode_cloud.identity.service.clients import Clients
    from opencode_cloud.identity.service.devices import Devices
    from opencode_cloud.identity.service.logins import Logins
    from opencode_cloud.identity.service.methods import CurrentMethods
    from opencode_cloud.identity.service.server import OAuth
    from opencode_cloud.identity.service.sessions import Sessions
    from opencode_cloud.identity.service.signing_in import SigningIn
    from opencode_cloud.outbox.service import Outbox

ENTRIES = RateLimit("user-codes", 20, 600)
"""The limit of device codes that each person may look up or settle in ten minutes."""
ENTRIES_BY_ADDRESS = RateLimit("user-codes-by-address", 100, 600)
MAILS_BY_ASKER = RateLimit("sign-in-mails-by-asker", 5, 3600)
"""The limit of mails to one address in an hour that each network may request. A stranger uses up only their own."""
MAILS = RateLimit("sign-in-mails", 20, 3600)
"""The limit of mails to each address in an hour, from all networks but those of earlier sign-ins."""
MAILS_BY_ADDRESS = RateLimit("sign-in-mails-by-address", 60, 3600)
"""The limit of mails that each IP address may request in an hour."""
CODES_BY_ADDRESS = RateLimit("sign-in-codes-by-address", 120, 3600)
LOGINS = RateLimit("logins", 60)
"""The limit of redirects to a provider and back that each address may make in a minute."""
BROWSER_SECONDS = 86_400
PUBLIC_CONNECT = "'self'"
"""Sources that scripts of public pages may ask. Tools that judge public pages read ``/robots.txt`` as such a script."""
MOST_FIELDS = 64
"""The most fields of one form."""
AUTHORIZATION_PARAMETERS = frozenset(
    {"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"}
)
"""The parameters of an authorization request. All others are ignored (RFC 6749, 3.1)."""


class IdentityServices(msgspec.Struct, frozen=True, kw_only=True):
    """The dependencies of the pages."""

    access: Access
    sessions: Sessions
    devices: Devices
    clients: Clients
    oauth: OAuth
    methods: CurrentMethods
    logins: Logins
    challenges: Challenges
    signing_in: SigningIn
    outbox: Outbox
    audit: AuditTrail
    limiter: RateLimiter
    key: Callable[[], str]
    public_url: str


class IdentityPages:
    """The pages of identity. The server renders all of them, and they work without scripts."""

    def __init__(self, services: IdentityServices) -> None:
        self._services = services

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every page to ``app``."""
        self._event: Callable[[], dict[str, Any]] = lambda: app.current_event.raw_event
        app.get("/")(self.home)
        app.get("/login")(self.login)
        app.post("/login/email")(self.send_code)
        app.get("/login/code")(self.ask_code)
        app.post("/login/code")(self.enter_code)
        app.get("/login/<name>")(self.leave)
        app.get("/auth/callback/<name>")(self.come_back)
        app.get("/logout")(self.ask_sign_out)
        app.post("/logout")(self.sign_out)
        app.get("/device")(self.device)
        app.post("/device")(self.settle_device)
        app.get("/auth/authorize")(self.consent)
        app.post("/auth/authorize")(self.authorize)
        app.get("/account")(self.account)
        app.post("/account/sessions/<session_id>/end")(self.end_session)
        app.post("/account/sessions/end")(self.end_sessions)

    def note_use(self, session_id: SessionId) -> None:
        """Extend the session's lifetime. Also called for pages of other features."""
        self._services.sessions.note_use(session_id)

    # --------------------------------------------------------------------------------------- signing in

    def home(self) -> Response[str]:
        """``GET /``: the workspaces of a signed-in person, else an introduction."""
        person = self._signed_in()
        base = self._base()
        if person is None:
            return page(render("identity/welcome.html", base_url=base), connect=PUBLIC_CONNECT)
        workspaces = self._services.access.memberships(person.account_id)
        return self._page("identity/home.html", {"person": person, "base_url": base, "workspaces": workspaces})

    def login(self) -> Response[str]:
        """``GET /login?continue=/path``: the ways to sign in."""
        proceed = safe_path(http_events.query(self._event(), "continue"))
        if self._signed_in():
            return see(proceed)
        return self._login_page(proceed)

    def leave(self, name: str) -> Response[str]:
        """``GET /login/{name}``: redirect to the provider."""
        event = self._event()
        self._services.limiter.take(LOGINS, http_events.source_network(event))
        method = self._services.methods.provider(name)
        browser, cookies = self._browser()
        proceed = safe_path(http_events.query(event, "continue"))
        return see(self._services.logins.begin(method, self._callback(name), browser, proceed), cookies)

    def come_back(self, name: str) -> Response[str]:
        """``GET /auth/callback/{name}``: finish the sign-in after the return from the provider."""
        event = self._event()
        self._services.limiter.take(LOGINS, http_events.source_network(event))
        method = self._services.methods.provider(name)
        browser = requests.cookie(event, requests.BROWSER)
        state, code = http_events.query(event, "state"), http_events.query(event, "code")
        if http_events.query(event, "error"):
            words = _("%(provider)s did not sign you in.", provider=method.shown)
            proceed = safe_path(self._services.logins.abandon(method, browser, state))
            return self._login_page(proceed, words, HTTPStatus.FORBIDDEN)
        person, proceed = self._services.logins.finish(method, self._callback(name), browser, state, code)
        return self._begin_session(person, proceed)

    def send_code(self) -> Response[str]:
        """``POST /login/email``: send a one-time code to the address."""
        services, event, form = self._services, self._event(), self._form("/login/email")
        methods = services.methods()
        methods.require_email()
        proceed = safe_path(form.get("continue", ""))
        try:
            email = clean_address(form.get("email", ""), check_domain=False)
            address = canonical_address(email)
            methods.check_domain(address)
            self._limit_mails(address, http_events.source_network(event))
        except ServiceError as error:
            page_again = self._login_page(proceed, error.message, error.status, form.get("email", ""))
            if isinstance(error, TooManyRequests):
                page_again.headers["Retry-After"] = str(error.retry_after)
            return page_again
        origin = origin_of(event)
        browser = requests.cookie(event, requests.BROWSER)
        challenge = services.challenges.begin(email, browser, proceed, origin.address, describe(origin.user_agent))
        return see(f"/login/code?challenge={challenge}")

    def _limit_mails(self, recipient: str, network: str) -> None:
        """Count a mail to an address in its canonical form. Raises ``rate_limited`` (429).

        Strangers on many networks can use up the cap on mails to an address. The person still gets in: by a code that
        was sent, and by a new one from a network on which they signed in before.
        """
        services = self._services
        services.limiter.take(MAILS_BY_ADDRESS, network)
        services.limiter.take(MAILS_BY_ASKER, f"{recipient}\0{network}")
        try:
            services.limiter.take(MAILS, recipient)
        except TooManyRequests:
            if not services.challenges.is_known(recipient, network):
                raise

    def ask_code(self) -> Response[str]:
        """``GET /login/code?challenge=...``: the form for the code."""
        return self._code_page(http_events.query(self._event(), "challenge"))

    def enter_code(self) -> Response[str]:
        """``POST /login/code``: sign the person in, or report that the code is wrong."""
        event, form = self._event(), self._form("/login/code")
        self._services.limiter.take(CODES_BY_ADDRESS, http_events.source_network(event))
        challenge = form.get("challenge", "")
        verified = self._services.challenges.verify(
            challenge, requests.cookie(event, requests.BROWSER), form.get("code", "")
        )
        if verified is None:
            return self._code_page(challenge, "This is not the code that we sent. Compare it, and try again.")
        self._services.challenges.note_network(verified[0].email, http_events.source_network(event))
        return self._begin_session(*verified)

    def ask_sign_out(self) -> Response[str]:
        """``GET /logout``: the form that ends the browser's session, for pages of functions that cannot make it."""
        person = self._signed_in()
        return see("/") if person is None else self._page("identity/sign_out.html", {"person": person})

    def sign_out(self) -> Response[str]:
        """``POST /logout``: end the browser's session. The form may name the page that needs a new sign-in."""
        person = self._person()
        proceed = safe_path(self._form("/logout").get("continue", ""))
        self._services.sessions.end(person.session_id)
        return see(proceed, [requests.set_cookie(self._event(), requests.SESSION_COOKIE, "", 0)])

    def _begin_session(self, person: VerifiedPerson, proceed: str) -> Response[str]:
        services, event = self._services, self._event()
        correlation_id = logger.get_correlation_id()
        account = services.signing_in.account_of(
            person, services.methods(), http_events.source_address(event), correlation_id
        )
        before = self._signed_in()
        if before:
            services.sessions.end(before.session_id)
        cookie = secrets.token_urlsafe(32)
        services.sessions.begin_web(cookie, AccountId(account), origin_of(event))
        lines = [
            requests.set_cookie(event, requests.SESSION_COOKIE, cookie, WEB_SECONDS),
            requests.set_cookie(event, requests.BROWSER, "", 0),
        ]
        return see(safe_path(proceed), lines)

    def _login_page(self, proceed: str, words: str = "", status: int = HTTPStatus.OK, email: str = "") -> Response[str]:
        browser, cookies = self._browser()
        token = requests.form_token(self._services.key(), browser, "/login/email")
        offered = self._services.methods().shown_methods()
        body = render("identity/login.html", offered=offered, proceed=proceed, token=token, words=words, email=email)
        return page(body, status=status, cookies=cookies, connect=PUBLIC_CONNECT)

    def _code_page(self, challenge_id: str, words: str = "") -> Response[str]:
        browser = requests.cookie(self._event(), requests.BROWSER)
        challenge = self._services.challenges.open(challenge_id, browser)
        token = requests.form_token(self._services.key(), browser, "/login/code")
        body = render("identity/code.html", challenge=challenge, token=token, words=words)
        return page(body, status=HTTPStatus.FORBIDDEN if words else HTTPStatus.OK)

    # ------------------------------------------------------------------------------------------ devices

    def device(self) -> Response[str]:
        """``GET /device?user_code=...``: the device, its origin and the code; the form for the code without one."""
        event = self._event()
        person = self._person()
        typed = http_events.query(event, "user_code")
        if not typed:
            return self._page("identity/device.html", {"person": person, "waiting": None, "code": "", "words": ""})
        self._count_entry(person)
        try:
            request = self._services.devices.of_user_code(typed)
        except NotFound as error:
            values = {"person": person, "waiting": None, "code": typed, "words": error.message}
            return self._page("identity/device.html", values, HTTPStatus.NOT_FOUND)
        client = self._services.clients.name(request.client)
        code = shown_user_code(typed)
        here = request.through_edge and request.address == http_events.source_address(event)
        known = self._services.access.memberships(person.account_id) if request.wants_workspace else []
        values: dict[str, Any] = {"person": person, "waiting": request, "client": client, "code": code, "here": here}
        return self._page(
            "identity/device.html", {**values, "words": "", "workspaces": [workspace for _, workspace in known]}
        )

    def settle_device(self) -> Response[str]:
        """``POST /device``: approve or deny the device."""
        person = self._signed_in()
        if person is None:
            return see(login_path(self._device_again()))
        form = self._form("/device")
        self._count_entry(person)
        approved = form.get("decision") == "approve"
        request = self._services.devices.settle(
            form.get("user_code", ""),
            person.account_id,
            approved=approved,
            workspace_id=self._chosen(person, form) if approved else WorkspaceId(""),
        )
        client = self._services.clients.name(request.client)
        if request.state == DeviceState.PENDING:  # else a second click sent the form again
            self._record(
                person,
                "device.approved" if approved else "device.denied",
                Target("device", request.client, client),
                {"address": request.address, "program": describe(request.user_agent)},
            )
        return self._page("identity/settled.html", {"person": person, "client": client, "approved": approved})

    def _device_again(self) -> str:
        """Return the page of the code in a form that was sent without a session. It asks for the decision again."""
        sent = dict(requests.form_pairs(self._event(), MOST_FIELDS))
        code = normal_user_code(sent.get("user_code", ""))
        return f"/device?{urlencode({'user_code': shown_user_code(code)})}" if code else "/device"

    def _chosen(self, person: Actor, form: Mapping[str, str]) -> WorkspaceId:
        """Return the workspace that a person chose for a device; empty if the form offered none.

        Raises ``workspace_not_found`` (404) for one that the person is not a member of.
        """
        chosen = WorkspaceId(form.get("workspace", ""))
        known = self._services.access.memberships(person.account_id) if chosen else []
        if chosen and chosen not in {workspace.id for _, workspace in known}:
            raise workspace_not_found()
        return chosen

    def _count_entry(self, person: Actor) -> None:
        self._services.limiter.take(ENTRIES_BY_ADDRESS, person.address)
        self._services.limiter.take(ENTRIES, person.account_id)

    # ----------------------------------------------------------------------------- authorization requests

    def consent(self) -> Response[str]:
        """``GET /auth/authorize``: ask whether a client may act for the person."""
        event = self._event()
        pairs = parse_qsl(event.get("rawQueryString") or "", keep_blank_values=True)
        parameters = _single([(name, value) for name, value in pairs if name in AUTHORIZATION_PARAMETERS])
        request = oauth_request(event, self._base(), parameters)
        client = self._services.oauth.consent(request)
        if isinstance(client, OAuthResponse):
            return self._oauth_reply(client)
        person = self._person()
        redirect = urlsplit(parameters["redirect_uri"])
        values = {"person": person, "client": client.name, "destination": redirect.netloc, "parameters": parameters}
        return self._page("identity/consent.html", values, forms=f"'self' {redirect.scheme}://{redirect.netloc}")

    def authorize(self) -> Response[str]:
        """``POST /auth/authorize``: send the client a code, or the refusal."""
        person = self._person()
        form = self._form("/auth/authorize")
        parameters = {name: value for name, value in form.items() if name in AUTHORIZATION_PARAMETERS}
        allowed = form.get("decision") == "approve"
        request = oauth_request(self._event(), self._base(), parameters)
        answer = self._services.oauth.authorize(request, person.account_id if allowed else None)
        if allowed and "error" not in answer.document:
            client = parameters.get("client_id", "")
            self._record(person, "client.allowed", Target("client", client, self._services.clients.name(client)), {})
        return self._oauth_reply(answer)

    def _oauth_reply(self, answer: OAuthResponse) -> Response[str]:
        """Redirect to the client with the answer, or show it to the person when no redirect address is safe."""
        if answer.location:
            return see(answer.location)
        return problem(BadRequest("invalid_authorization_request", str(answer.document["error_description"])))

    # ------------------------------------------------------------------------------------------- account

    def account(self) -> Response[str]:
        """``GET /account``: workspaces, sessions and devices."""
        person = self._person()
        sessions = self._services.sessions.of_account(person.account_id)
        names = {session.id: self._services.clients.name(session.client) for session in sessions if session.client}
        workspaces = self._services.access.memberships(person.account_id)
        values = {"person": person, "workspaces": workspaces, "sessions": sessions, "clients": names}
        return self._page("identity/account.html", values)

    def end_session(self, session_id: SessionId) -> Response[str]:
        """``POST /account/sessions/{session_id}/end``: end the session of one of the person's browsers or devices."""
        person = self._person()
        self._form("/account")
        if not self._services.sessions.end_own(person.account_id, session_id):
            raise NotFound("session_not_found", "You have no session with this id.")
        self._record(person, "session.ended", Target("session", session_id), {})
        return see("/account")

    def end_sessions(self) -> Response[str]:
        """``POST /account/sessions/end``: end all sessions of the person, including this one."""
        person = self._person()
        self._form("/account")
        ended = self._services.sessions.end_all(person.account_id)
        self._services.sessions.end(person.session_id)
        self._record(person, "session.ended", Target("account", person.account_id, person.name), {"sessions": ended})
        return see("/login", [requests.set_cookie(self._event(), requests.SESSION_COOKIE, "", 0)])

    # -------------------------------------------------------------------------------------------- common

    def _signed_in(self) -> Actor | None:
        try:
            return self._person()
        except Unauthorized:
            return None

    def _person(self) -> Actor:
        """Return the person who is signed in, by cookie only; raises ``login_required`` (401)."""
        request = requests.request_of(self._event())
        if not request.cookie:
            raise login_required()
        by_cookie = AccessRequest(cookie=request.cookie, address=request.address, correlation_id=request.correlation_id)
        person = self._services.access.account(by_cookie)
        self._services.sessions.note_use(person.session_id)
        return person

    def _form(self, form: str) -> dict[str, str]:
        """Return the fields of a form that one of our pages made for this browser. Raises :class:`Forbidden`."""
        event = self._event()
        if not requests.same_origin(event):
            raise Forbidden("cross_origin", "This form was not sent by a page of this site.")
        fields = _single(requests.form_pairs(event, MOST_FIELDS))
        binder = requests.cookie(event, requests.BROWSER if form.startswith("/login/") else requests.SESSION_COOKIE)
        requests.check_form_token(self._services.key(), binder, form, fields.get("token", ""))
        return fields

    def _browser(self) -> tuple[str, Sequence[str]]:
        """Return the id of this browser before sign-in, and the cookie lines that set it."""
        event = self._event()
        browser = requests.cookie(event, requests.BROWSER)
        if browser:
            return browser, []
        new_browser = secrets.token_urlsafe(32)
        return new_browser, [requests.set_cookie(event, requests.BROWSER, new_browser, BROWSER_SECONDS)]

    def _page(
        self, template: str, values: Mapping[str, Any], status: int = HTTPStatus.OK, forms: str = "'self'"
    ) -> Response[str]:
        """Answer with a page for a signed-in person. ``token(form)`` writes the tokens of its forms."""
        binder, key = requests.cookie(self._event(), requests.SESSION_COOKIE), self._services.key()

        def token(form: str) -> str:
            return requests.form_token(key, binder, form)

        return page(render(template, token=token, **values), status=status, forms=forms)

    def _record(self, person: Actor, action: str, target: Target, after: Mapping[str, Any]) -> None:
        with self._services.outbox.unit() as unit:
            self._services.audit.record(unit.connection, person, action, target, after=dict(after))

    def _base(self) -> str:
        return http_events.base_url(self._event(), self._services.public_url)

    def _callback(self, name: str) -> str:
        return f"{self._base()}/auth/callback/{name}"


def _single(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return fields by name; raises :class:`BadRequest` for a repeated field."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadRequest("repeated_field", "A field of this form came twice.")
    return fields
