"""A sign-in at a provider, from the browser's leaving to its coming back."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from opencode_cloud.identity.models import LoginState, VerifiedPerson
from opencode_cloud.identity.service.refresh import hash_of
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import Forbidden

if TYPE_CHECKING:
    from opencode_cloud.identity.providers import Providers
    from opencode_cloud.identity.service.methods import Method
    from opencode_cloud.identity.store.codes import CodesStore

STATE_SECONDS = 600


class Logins:
    """The rules of a sign-in at a provider: it ends in the browser in which it began, and once."""

    def __init__(self, store: CodesStore, providers: Providers) -> None:
        self._store = store
        self._providers = providers

    def begin(self, method: Method, redirect_uri: str, browser: str, proceed: str) -> str:
        """Return where to send the browser that holds the cookie value ``browser``."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        kept = LoginState(
            id=hash_of(state),
            provider=method.name,
            browser=hash_of(browser),
            nonce=nonce,
            verifier=verifier,
            proceed=proceed,
            expires_at=now_seconds() + STATE_SECONDS,
        )
        self._store.add_state(kept)
        return self._providers.begin(method, redirect_uri, state, nonce, verifier)

    def finish(
        self, method: Method, redirect_uri: str, browser: str, state: str, code: str
    ) -> tuple[VerifiedPerson, str]:
        """Return who signed in and the path to go on to.

        Raises ``stale_login`` (403) for a state that we did not give out, or to another browser, or for another
        provider, or that was used: else somebody could sign a stranger in to an account of their own.
        """
        kept = self._store.take_state(hash_of(state)) if state else None
        if (
            kept is None
            or kept.expires_at <= now_seconds()
            or kept.provider != method.name
            or not hmac.compare_digest(kept.browser, hash_of(browser))
        ):
            raise stale_login()
        return self._providers.finish(method, redirect_uri, code, kept.nonce, kept.verifier), kept.proceed


def stale_login() -> Forbidden:
    """The browser came back from a provider without having been sent there just now."""
    return Forbidden("stale_login", "This sign-in was not begun in this browser, or too long ago. Begin again.")
