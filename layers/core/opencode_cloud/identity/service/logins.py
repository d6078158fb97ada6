"""Sign-in at a provider, from the redirect to the provider to the browser's return."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from opencode_cloud.identity.models import LoginState, VerifiedPerson
from opencode_cloud.identity.service.refresh import hash_of
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.errors import Forbidden
from opencode_cloud.kit.ids import base64url

if TYPE_CHECKING:
    from opencode_cloud.identity.providers import Providers
    from opencode_cloud.identity.service.methods import Method
    from opencode_cloud.identity.store.codes import CodesStore

STATE_SECONDS = 600


class Logins:
    """The rules of a sign-in at a provider: it ends once, in the browser in which it began."""

    def __init__(self, store: CodesStore, providers: Callable[[], Providers], key: Callable[[], str]) -> None:
        self._store = store
        self._providers = providers
        self._key = key

    def begin(self, method: Method, redirect_uri: str, browser: str, proceed: str) -> str:
        """Return the address to redirect the browser to, which holds the cookie value ``browser``."""
        state = secrets.token_urlsafe(32)
        login = LoginState(
            id=hash_of(state),
            provider=method.name,
            browser=hash_of(browser),
            proceed=proceed,
            expires_at=now_seconds() + STATE_SECONDS,
        )
        self._store.add_state(login)
        return self._providers().begin(method, redirect_uri, state, *self._secrets(state))

    def finish(
        self, method: Method, redirect_uri: str, browser: str, state: str, code: str
    ) -> tuple[VerifiedPerson, str]:
        """Return the person who signed in and the path to redirect to.

        Raises ``stale_login`` (403) for a state that was not issued, was issued to another browser or for another
        provider, or was already used. Otherwise an attacker could sign a stranger in to the attacker's account.
        """
        login = self._taken(method, browser, state)
        if login is None:
            raise stale_login()
        return self._providers().finish(method, redirect_uri, code, *self._secrets(state)), login.proceed

    def abandon(self, method: Method, browser: str, state: str) -> str:
        """End a sign-in that the provider refused; return the path that it was for, or ``/`` if it is not known."""
        login = self._taken(method, browser, state)
        return login.proceed if login else "/"

    def _taken(self, method: Method, browser: str, state: str) -> LoginState | None:
        """Return the sign-in of this browser; None if it is not in progress here."""
        # Take the state before checking it: a state is used once, whatever the result.
        login = self._store.take_state(hash_of(state)) if state else None
        if (
            login is None
            or login.expires_at <= now_seconds()
            or login.provider != method.name
            or not hmac.compare_digest(login.browser, hash_of(browser))
        ):
            return None
        return login

    def _secrets(self, state: str) -> tuple[str, str]:
        """Return the nonce and the PKCE verifier of a sign-in. Both are derived, so that no table holds them."""
        nonce, verifier = (base64url(derive(self._key(), f"login-{use}", state)) for use in ("nonce", "verifier"))
        return nonce, verifier


def stale_login() -> Forbidden:
    """Return the error for a browser that returns from a provider without a recent sign-in in progress."""
    return Forbidden("stale_login", "This sign-in was not begun in this browser, or too long ago. Begin again.")
