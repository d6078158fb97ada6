"""Decides which person in a browser is an operator, and writes the operators' pages (docs/decisions/069)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.contracts.access import login_required
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.http import requests
from opencode_cloud.http.pages import page, render
from opencode_cloud.kit import http_events
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import Forbidden, NotFound
from opencode_cloud.kit.mail_addresses import InvalidMailAddress, canonical_address

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.contracts.ids import SessionId

ROOT = "/operator"
FRESH_SECONDS = 3600
"""The age of a sign-in, in seconds, after which an operator signs in again."""

MOST_FIELDS = 32

Handler = Callable[..., Response[str]]


class OperatorRequest(msgspec.Struct, frozen=True):
    """One request of an operator."""

    actor: Actor
    form: Mapping[str, str]
    """The submitted form; empty for a GET."""


class OperatorApp:
    """Serves pages to the people whose addresses the stage's setting ``operators`` lists."""

    def __init__(
        self,
        access: Access,
        began_at: Callable[[SessionId], int],
        deployment_key: Callable[[], str],
        addresses: Collection[str],
        *,
        billing: bool,
    ) -> None:
        """Store the services.

        Args:
            access: Authenticates people.
            began_at: Returns when a session began, in seconds since the epoch.
            deployment_key: Returns the key of form tokens.
            addresses: The e-mail addresses of operators. Wrong ones are ignored.
            billing: Whether the deployment keeps a ledger.
        """
        self._access = access
        self._began_at = began_at
        self._key = deployment_key
        self._addresses = frozenset(known for each in addresses if (known := _canonical(each)))
        self._billing = billing

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Use ``app`` for all routes that are added later."""
        self._resolver = app

    @property
    def event(self) -> http_events.Event:
        """The current request."""
        return self._resolver.current_event.raw_event

    def lists(self, person: Actor) -> bool:
        """Tell whether a signed-in person is an operator."""
        return _canonical(person.name) in self._addresses

    def query(self, name: str) -> str:
        """Return a query parameter, stripped and at most 254 characters long."""
        return http_events.query(self.event, name).strip()[:254]

    def get(self, path: str, handler: Handler) -> None:
        """Add a GET. ``handler`` takes the operator's request and the values of the path."""

        def enter(**values: str) -> Response[str]:
            return self._answer(lambda actor: handler(OperatorRequest(actor, {}), **values))

        self._resolver.get(ROOT + path)(enter)

    def post(self, path: str, handler: Handler) -> None:
        """Add the POST of a form, which must come from a page of this session."""

        def enter(**values: str) -> Response[str]:
            if not requests.same_origin(self.event):
                raise Forbidden("cross_origin", "This form was not sent by a page of this site.")
            return self._answer(lambda actor: handler(OperatorRequest(actor, self._form()), **values))

        self._resolver.post(ROOT + path)(enter)

    def page(self, template: str, actor: Actor, status: int = HTTPStatus.OK, **values: Any) -> Response[str]:
        """Answer with a page. In its template, ``token(action)`` returns a form token."""
        shared = {"person": actor, "token": self._token, "root": ROOT, "billing": self._billing, "operates": True}
        return page(render(f"operators/{template}", path=self.event["rawPath"], **shared, **values), status=status)

    def _answer(self, handler: Callable[[Actor], Response[str]]) -> Response[str]:
        actor = self._operator()
        if now_seconds() - self._began_at(actor.session_id) > FRESH_SECONDS:
            return self.page("sign_in.html", actor, HTTPStatus.FORBIDDEN)
        return handler(actor)

    def _operator(self) -> Actor:
        """Return the operator of the request. Other people do not learn that there are such pages."""
        request = requests.request_of(self.event)
        if not request.cookie:
            raise login_required()
        credentials = AccessRequest(
            cookie=request.cookie, address=request.address, correlation_id=request.correlation_id
        )
        person = self._access.account(credentials)
        if not self.lists(person):
            raise NotFound("page_not_found", "There is no page at this URL.")
        return msgspec.structs.replace(
            person, kind=ActorKind.OPERATOR, credential=CredentialKind.SESSION, role=Role.OWNER
        )

    def _form(self) -> dict[str, str]:
        fields = dict(requests.form_pairs(self.event, MOST_FIELDS, keep_blank=True))
        binder = requests.cookie(self.event, requests.SESSION_COOKIE)
        requests.check_form_token(self._key(), binder, self.event["rawPath"], fields.get("token", ""))
        return fields

    def _token(self, action: str) -> str:
        return requests.form_token(self._key(), requests.cookie(self.event, requests.SESSION_COOKIE), action)


def _canonical(address: str) -> str:
    """Return an address in its canonical form; empty for what is no address."""
    try:
        return canonical_address(address)
    except InvalidMailAddress:
        return ""
