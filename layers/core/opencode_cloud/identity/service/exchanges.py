"""Requests to the authorization server and its answers, apart from HTTP and from Authlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from opencode_cloud.contracts.ids import AccountId
from opencode_cloud.kit import foreign_json

if TYPE_CHECKING:
    from concurrent.futures import Future

    from opencode_cloud.identity.models import Session
    from opencode_cloud.identity.service.clients import Clients
    from opencode_cloud.identity.service.devices import Devices
    from opencode_cloud.identity.service.sessions import Origin, Sessions
    from opencode_cloud.identity.store.codes import CodesStore

WORKSPACE_PARAMETER = "supports_org_scope"
"""The parameter of clients that act in the one workspace that a person chooses while approving them."""
TRUE = "true"


class OAuthRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the authorization server."""

    method: str
    issuer: str
    """The address that clients use, the origin of all other addresses."""
    path: str
    parameters: Mapping[str, str]
    origin: Origin
    headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    reading: Future[Session | None] | None = None
    """The session of the refresh token, if :meth:`OAuth.read_ahead` began to read it."""


class OAuthResponse(msgspec.Struct, frozen=True):
    """An answer of the authorization server: a JSON document, or a redirect."""

    status: int
    document: Mapping[str, Any]
    location: str = ""


class OAuthServices:
    """The dependencies of a request's server. ``may_sign_in`` tells whether an account exists and is not blocked."""

    def __init__(
        self,
        clients: Clients,
        sessions: Sessions,
        devices: Devices,
        codes: CodesStore,
        may_sign_in: Callable[[AccountId], bool],
    ) -> None:
        self.clients = clients
        self.sessions = sessions
        self.devices = devices
        self.codes = codes
        self.may_sign_in = may_sign_in


def refusal(error: str, description: str, status: int = HTTPStatus.BAD_REQUEST) -> OAuthResponse:
    """Return an OAuth error."""
    return OAuthResponse(status, {"error": error, "error_description": description})


def parameters_of(body: bytes) -> dict[str, str]:
    """Return the parameters in a body: JSON as opencode's client writes it, or a form as RFC 6749 requires.

    The Content-Type is ignored: clients send any, or none. Parameters that are not text are left out, since a server
    ignores unknown parameters (RFC 6749 3.1), and every known one is text, but for ``supports_org_scope``. Raises
    :class:`ValueError` for a body of neither form, and for a repeated parameter.
    """
    if body.lstrip().startswith(b"{"):
        members = foreign_json.decode(body, dict[str, object])
        if members.get(WORKSPACE_PARAMETER) is True:
            members[WORKSPACE_PARAMETER] = TRUE
        return {name: value for name, value in members.items() if isinstance(value, str)}
    pairs = parse_qsl(body.decode(), keep_blank_values=False, max_num_fields=32)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise ValueError("a parameter comes twice")
    return parameters
