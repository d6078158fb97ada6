"""Pages of invitations: the page that a mail's link opens, and the list for the signed-in person."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.access.service import AccessRequest
from opencode_cloud.contracts.access import login_required
from opencode_cloud.contracts.actor import ANONYMOUS
from opencode_cloud.contracts.ids import InvitationId
from opencode_cloud.http import requests
from opencode_cloud.http.pages import page, render, see
from opencode_cloud.http.paths import login_path
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import Forbidden, Unauthorized
from opencode_cloud.kit.rate_limits import RateLimit, RateLimiter
from opencode_cloud.workspaces.models import Invitation, InvitationState

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.workspaces.service import Invitations

LINKS = RateLimit("invitation-links", 60)
"""Rate limit by IP address: links opened or answered in a minute."""
BROWSER_SECONDS = 86_400
MOST_FIELDS = 8
"""The most fields of one form."""


class InvitationPages:
    """Routes of the pages of invitations.

    Opening a link changes nothing, since mail scanners open links too. Only forms make changes.
    """

    def __init__(
        self, invitations: Invitations, access: Access, deployment_key: Callable[[], str], limiter: RateLimiter
    ) -> None:
        self._invitations = invitations
        self._access = access
        self._key = deployment_key
        self._limiter = limiter

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every page to ``app``."""
        self._event: Callable[[], dict[str, Any]] = lambda: app.current_event.raw_event
        app.get("/invitations")(self.list_own)
        app.get("/invitations/<token>")(self.show)
        app.post("/invitations/<token>")(self.answer)

    def list_own(self) -> Response[str]:
        """``GET /invitations``: show the open invitations to any address of the signed-in person, with their forms."""
        person = self._signed_in()
        if person is None:
            raise login_required()
        invitations = self._invitations.of_account(person.account_id)
        return page(render("workspaces/invitations.html", person=person, invitations=invitations, token=self._token_of))

    def show(self, token: str) -> Response[str]:
        """``GET /invitations/{token}``: show the inviter, the workspace and the possible answers."""
        self._limiter.take(LINKS, http_events.source_network(self._event()))
        return self._page(token, self._invitation(token))

    def answer(self, token: str) -> Response[str]:
        """``POST /invitations/{token}``: accept or decline."""
        self._limiter.take(LINKS, http_events.source_network(self._event()))
        decision = self._decision(token)
        person = self._signed_in()
        invitation = self._invitation(token)
        if decision == "accept":
            if person is None:
                return see(login_path(f"/invitations/{token}"))
            self._invitations.accept(person, invitation.id)
            return see("/")
        if person is not None and self._invitations.is_for(person, invitation):
            self._invitations.decline(person, invitation.id)
        elif _is_id(token):
            raise login_required()
        else:
            self._invitations.decline_by_token(token, person or ANONYMOUS)
        return self._page(token, self._invitations.get(invitation.workspace_id, invitation.id))

    def _invitation(self, token: str) -> Invitation:
        """Return the invitation of a link, or by id one to the signed-in person; raises ``invitation_not_found``."""
        if not _is_id(token):
            return self._invitations.by_token(token)
        person = self._signed_in()
        if person is None:
            raise login_required()
        return self._invitations.to(person, InvitationId(token))

    def _page(self, token: str, invitation: Invitation) -> Response[str]:
        event, person = self._event(), self._signed_in()
        binder, cookies = (
            requests.cookie(event, requests.SESSION_COOKIE if person else requests.BROWSER),
            list[str](),
        )
        if not binder:
            binder = secrets.token_urlsafe(32)
            cookies.append(requests.set_cookie(event, requests.BROWSER, binder, BROWSER_SECONDS))
        path = f"/invitations/{token}"

        def form_token(form: str) -> str:
            return requests.form_token(self._key(), binder, form)

        body = render(
            "workspaces/invitation.html",
            person=person,
            invitation=invitation,
            open=invitation.state is InvitationState.PENDING,
            mine=person is not None and self._invitations.is_for(person, invitation),
            action=path,
            login=login_path(path),
            token=form_token,
        )
        return page(body, cookies=cookies)

    def _decision(self, token: str) -> str:
        """Return the decision in our form; raises ``cross_origin`` or ``stale_form`` (403)."""
        event = self._event()
        if not requests.same_origin(event):
            raise Forbidden("cross_origin", "This form was not sent by a page of this site.")
        fields = dict(requests.form_pairs(event, MOST_FIELDS))
        binder = requests.cookie(event, requests.SESSION_COOKIE if self._signed_in() else requests.BROWSER)
        requests.check_form_token(self._key(), binder, f"/invitations/{token}", fields.get("token", ""))
        return fields.get("decision", "")

    def _token_of(self, form: str) -> str:
        return requests.form_token(self._key(), requests.cookie(self._event(), requests.SESSION_COOKIE), form)

    def _signed_in(self) -> Actor | None:
        """Return the person that the session cookie authenticates; None without a valid one."""
        request = requests.request_of(self._event())
        if not request.cookie:
            return None
        try:
            return self._access.account(
                AccessRequest(cookie=request.cookie, address=request.address, correlation_id=request.correlation_id)
            )
        except Unauthorized:
            return None


def _is_id(token: str) -> bool:
    """Tell an invitation's id, which needs a signed-in person, from the token of a link."""
    return token.startswith("inv_")
