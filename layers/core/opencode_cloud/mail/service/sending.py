"""Send queued mails, each once, and record their states."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from opencode_cloud.contracts.ids import MailId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.kit import log
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.log import logger
from opencode_cloud.mail.models import RANK, Mail, MailRejected, MailState, NotYet, SentEvent, Suppression

if TYPE_CHECKING:
    from opencode_cloud.mail.rendering import Rendered, Renderer
    from opencode_cloud.mail.store import MailStore

MOST_ATTEMPTS = 10
FIRST_PAUSE_SECONDS = 15
LONGEST_PAUSE_SECONDS = 900
KEPT_DAYS = 90
USEFUL_FOR = {Template.SIGN_IN_CODE: timedelta(minutes=15)}
"""Time after which a mail of a template is no longer sent. Mails of other templates are always sent."""


class Transport(Protocol):
    """A mail service."""

    def send(self, mail_id: MailId, recipient: str, message: Rendered) -> str:
        """Send a mail and return the service's id of it; raise :class:`MailRejected` on a permanent refusal."""
        ...


class _Outcome(msgspec.Struct, frozen=True):
    state: MailState
    reason: str = ""
    message_id: str | None = None


class Sending:
    """Sends mails by their ids, and records their states."""

    def __init__(self, store: MailStore, renderer: Renderer, transport: Transport) -> None:
        self._store = store
        self._renderer = renderer
        self._transport = transport

    def send(self, mail_id: MailId) -> None:
        """Send a queued mail; do nothing for a mail in another state.

        The row stays locked meanwhile, so a message that is delivered twice sends one mail. Raises :class:`NotYet` when
        a later attempt must follow.
        """
        with self._store.transaction() as connection:
            mail = self._store.get(connection, mail_id)
            if mail is None or mail.state is not MailState.QUEUED:
                return
            outcome = self._attempt(mail, self._store.suppression(connection, mail.recipient))
            self._store.settle(
                connection,
                mail,
                outcome.state,
                reason=outcome.reason,
                attempts=mail.attempts + 1,
                message_id=outcome.message_id,
            )
        log.count(f"Mail{outcome.state.capitalize()}")
        if outcome.state is MailState.QUEUED:
            raise NotYet(outcome.reason)

    def _attempt(self, mail: Mail, suppression: Suppression | None) -> _Outcome:
        if suppression is not None:
            return _Outcome(MailState.FAILED, f"Nothing is sent to this address any more: {suppression.reason}")
        if utc_now() - mail.created_at > USEFUL_FOR.get(mail.template, timedelta.max):
            return _Outcome(MailState.FAILED, "It was too late to send it.")
        try:
            message = self._renderer.render(mail.template, mail.variables)
            return _Outcome(MailState.SENT, message_id=self._transport.send(mail.id, mail.recipient, message))
        except MailRejected as error:
            return _Outcome(MailState.FAILED, str(error))
        except Exception as error:  # noqa: BLE001 - any failure is logged, counted, and retried
            logger.exception("mail was not sent", extra={"mail": mail.id, "attempt": mail.attempts + 1})
            last = mail.attempts + 1 >= MOST_ATTEMPTS
            return _Outcome(
                MailState.FAILED if last else MailState.QUEUED, f"Could not be sent: {type(error).__name__}"
            )

    def note(self, event: SentEvent) -> None:
        """Record an event of the mail service. Repeated and outdated events change nothing."""
        with self._store.transaction() as connection:
            mail = self._store.get(connection, MailId(event.mail))
            if mail is None:
                return
            if RANK[event.state] > RANK[mail.state]:
                self._store.settle(connection, mail, event.state, reason=event.reason)
                log.count(f"Mail{event.state.capitalize()}")
            if event.suppress:
                self._store.suppress(connection, mail, event.state, event.reason)


def purge(store: MailStore) -> int:
    """Delete mails whose retention is over; return how many. For a daily schedule."""
    total = 0
    while purged := store.purge(utc_now() - timedelta(days=KEPT_DAYS)):
        total += purged
    return total


def pause_seconds(receives: int) -> int:
    """Return the pause after ``receives`` attempts, in seconds: 15 s, doubled each time, at most 15 minutes."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(receives - 1, 16))
