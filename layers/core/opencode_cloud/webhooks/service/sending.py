"""Send deliveries until the webhook accepts them, and log each attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.log import count, logger
from opencode_cloud.webhooks.models import DeliveryState, StoredDelivery, WebhookDelivery, WebhookRejected
from opencode_cloud.webhooks.service.signing import signed_headers, signing_secret

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.webhooks.store.deliveries import DeliveryStore

PAUSES = (60, 300, 1800, 7200, 21600)
"""Seconds between attempts. The webhook's owner, not the operator, has to act on a longer failure."""
MOST_ATTEMPTS = len(PAUSES) + 1
KEPT_DAYS = 30
"""Days that the log keeps a delivery."""


class WebhookClient(Protocol):
    """A client that posts to webhooks."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        """Post ``body``; return the status of the answer, None without one."""
        ...


class DeliverySender:
    """Sends what was announced. A message may be sent twice if a process dies; its id is the same."""

    def __init__(
        self,
        database: Database,
        store: DeliveryStore,
        client: WebhookClient,
        deployment_key: Callable[[], str],
        on_accepted: Callable[[Connection, str, datetime], None],
    ) -> None:
        """``on_accepted`` gets the id of each accepted message, in the transaction that logs it."""
        self._database = database
        self._store = store
        self._client = client
        self._deployment_key = deployment_key
        self._on_accepted = on_accepted

    def send(self, message_id: str) -> None:
        """Make one attempt at a delivery, unless it has ended.

        Raises :class:`WebhookRejected` when it must be tried again.
        """
        with self._database.transaction() as connection:
            delivery = self._store.get(connection, message_id)
            hook = self._store.hook(connection, delivery.workspace_id) if delivery else None
            if delivery is None or delivery.state is not DeliveryState.PENDING:
                return
            if hook is None:
                self._store.end(connection, message_id, DeliveryState.DROPPED)
                return
        secret = signing_secret(self._deployment_key(), delivery.workspace_id, hook.generation)
        signed = signed_headers(secret, delivery.id, now_seconds(), delivery.body)
        # Outside of a transaction: an answer may take seconds.
        status = self._client.post(hook.url, {"content-type": "application/json", **signed}, delivery.body)
        if not self._log(delivery, status):
            raise WebhookRejected(delivery.id)

    def _log(self, delivery: StoredDelivery, status: int | None) -> bool:
        """Log an attempt; return whether it was the last one."""
        now = utc_now()
        with self._database.transaction() as connection:
            attempts = self._store.add_attempt(connection, delivery.id, now, status)
            if status is not None and 200 <= status < 300:
                self._store.end(connection, delivery.id, DeliveryState.ACCEPTED)
                self._on_accepted(connection, delivery.id, now)
                return True
            if attempts < MOST_ATTEMPTS:
                self._store.wait(connection, delivery.id, now + timedelta(seconds=pause(attempts)))
                return False
            self._store.end(connection, delivery.id, DeliveryState.GIVEN_UP)
        count("WebhooksGivenUp")
        logger.warning("a webhook accepted no attempt at a message", extra={"delivery": delivery.id})
        return True


class DeliveryLog:
    """Shows deliveries, and forgets old ones."""

    def __init__(self, database: Database, store: DeliveryStore) -> None:
        self._database = database
        self._store = store

    def of_workspace(
        self, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int
    ) -> list[WebhookDelivery]:
        """Return deliveries of a workspace, the newest first."""
        with self._database.transaction() as connection:
            return self._store.of_workspace(connection, workspace_id, before, limit)

    def purge(self) -> int:
        """Delete deliveries older than ``KEPT_DAYS``; return their number."""
        with self._database.transaction() as connection:
            return self._store.purge(connection, utc_now() - timedelta(days=KEPT_DAYS))


def pause(attempts: int) -> int:
    """Return the seconds to wait after a number of attempts."""
    return PAUSES[min(attempts, len(PAUSES)) - 1]
