"""Sign-in by a code that is sent to an address. Codes are derived, short-lived, and limited in attempts."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING

from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.mail_secrets import sign_in_code
from opencode_cloud.identity.models import Challenge, VerifiedPerson
from opencode_cloud.identity.service.refresh import hash_of
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.errors import Forbidden
from opencode_cloud.kit.ids import base64url, new_object_id
from opencode_cloud.kit.mail_addresses import canonical_address
from opencode_cloud.kit.typed_codes import typed_code

if TYPE_CHECKING:
    from opencode_cloud.identity.store.codes import CodesStore
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.outbox.service import Outbox

MINUTES = 10
KNOWN_SECONDS = 90 * DAY_SECONDS
"""Seconds for which the network of a sign-in is remembered."""
ATTEMPTS = 5
"""The attempts for one code of eight digits. A guess succeeds once in twenty million challenges, and mails are limited.
"""


class Challenges:
    """The rules of e-mail codes. A code is valid only in the browser that requested it."""

    def __init__(self, outbox: Outbox, store: CodesStore, mailer: Mailer, key: Callable[[], str]) -> None:
        self._outbox = outbox
        self._store = store
        self._mailer = mailer
        self._key = key

    def begin(self, email: str, browser: str, proceed: str, address: str, device: str) -> str:
        """Send a code to ``email`` and return the challenge's id. The result is the same with or without an account."""
        challenge = Challenge(
            id=new_object_id(),
            email=email,
            browser=hash_of(browser),
            proceed=proceed,
            attempts=0,
            expires_at=now_seconds() + MINUTES * 60,
        )
        # Before the mail, so that the code works when it arrives.
        self._store.add_challenge(challenge)
        words = {"challenge": challenge.id, "minutes": MINUTES, "address": address, "device": device}
        with self._outbox.unit() as unit:
            self._mailer.queue(unit, Template.SIGN_IN_CODE, email, words)
        return challenge.id

    def note_network(self, email: str, network: str) -> None:
        """Remember that a code for ``email`` was entered from ``network``."""
        self._store.note_network(self._network(email, network), now_seconds() + KNOWN_SECONDS)

    def is_known(self, email: str, network: str) -> bool:
        """Tell whether a code for ``email`` was entered from ``network`` before."""
        known = self._store.network(self._network(email, network))
        return known is not None and known.expires_at > now_seconds()

    def _network(self, email: str, network: str) -> str:
        """Return the id of the row. It is keyed, since addresses are too few for a plain hash."""
        return base64url(derive(self._key(), "known-network", canonical_address(email), network))

    def open(self, challenge_id: str, browser: str) -> Challenge:
        """Return a challenge of this browser that can still be answered. Raises ``wrong_code`` (403)."""
        challenge = self._store.challenge(challenge_id)
        usable = challenge and challenge.expires_at > now_seconds() and challenge.attempts < ATTEMPTS
        if not challenge or not usable or not hmac.compare_digest(challenge.browser, hash_of(browser)):
            raise _used_up()
        return challenge

    def verify(self, challenge_id: str, browser: str, typed: str) -> tuple[VerifiedPerson, str] | None:
        """Return the verified person and the path to redirect to; None for a wrong code while attempts remain.

        An attempt is counted before the code is checked, so parallel attempts gain nothing over sequential ones. Raises
        ``wrong_code`` (403) when no attempts remain.
        """
        challenge = self.open(challenge_id, browser)
        if not self._store.attempt(challenge, ATTEMPTS):
            raise _used_up()
        digits = "".join(character for character in typed_code(typed) if character.isdigit())
        if not hmac.compare_digest(sign_in_code(self._key(), challenge_id).encode(), digits.encode()):
            return None
        # The row is taken once, so only one of two requests with the right code signs in.
        if self._store.take_challenge(challenge_id) is None:
            raise _used_up()
        email = challenge.email
        return VerifiedPerson(provider="email", subject=canonical_address(email), email=email), challenge.proceed


def _used_up() -> Forbidden:
    return Forbidden("wrong_code", "This code is no longer valid. Ask for another one.")
