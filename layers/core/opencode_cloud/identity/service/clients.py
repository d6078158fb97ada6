"""The OAuth clients of a deployment: opencode's own. All are public, since none can keep a secret (RFC 8252)."""

# Authlib has no type annotations.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

CLI = "opencode-cli"
WEB = "opencode-web"
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
LOOPBACK_PATH = "/callback"


class Client(msgspec.Struct, ClientMixin, frozen=True):
    """One registered client, with the interface that Authlib expects."""

    id: str
    name: str
    grants: frozenset[str]
    redirects: tuple[str, ...] = ()
    """Redirect addresses, compared exactly. The loopback address of the person's own machine is allowed on any port."""

    def get_client_id(self) -> str:
        """Return the client's id."""
        return self.id

    def get_default_redirect_uri(self) -> None:
        """Return None: OAuth 2.1 requires every request to name its own."""
        return

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return no scope: a token has the permissions of its person's role (contracts/permissions.py)."""
        del scope
        return ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether answers may be redirected to ``redirect_uri``."""
        return redirect_uri in self.redirects or is_loopback(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        """Return False: clients have no secrets."""
        del client_secret
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Tell whether the client may authenticate by ``method``. Only PKCE or its codes are allowed."""
        del endpoint
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        """Tell whether the client may ask for ``response_type``."""
        return response_type == "code" and "authorization_code" in self.grants

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use ``grant_type``."""
        return grant_type in self.grants


def is_loopback(uri: str) -> bool:
    """Tell whether ``uri`` is the callback of a program on the person's machine, on any port (RFC 8252, 7.3)."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    plain = f"http://{shown}:{port}{LOOPBACK_PATH}" if port else f"http://{shown}{LOOPBACK_PATH}"
    # Compare the whole URI, so that user info, queries, fragments and other paths are refused.
    return host in _LOOPBACK and uri == plain


class Clients:
    """The registered clients. ``redirects`` are further redirect addresses of ``opencode-web``."""

    def __init__(self, redirects: Sequence[str] = ()) -> None:
        clients = (
            Client(CLI, "opencode", frozenset({DEVICE_CODE_GRANT_TYPE, "refresh_token"})),
            Client(WEB, "opencode web", frozenset({"authorization_code", "refresh_token"}), tuple(redirects)),
        )
        self._clients = {client.id: client for client in clients}

    def get(self, client_id: str) -> Client | None:
        """Return a client by its id."""
        return self._clients.get(client_id)

    def name(self, client_id: str) -> str:
        """Return the display name of a client."""
        client = self._clients.get(client_id)
        return client.name if client else client_id
