"""Configure a workspace's webhook, and test it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opencode_cloud.audit.service import Recorder
from opencode_cloud.budgets.models.documents import NewWebhook, Webhook, invalid_webhook, webhook_not_found
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.outbound_http import checked
from opencode_cloud.webhooks.service.announcing import TEST
from opencode_cloud.webhooks.service.signing import signing_secret

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.budgets.store.alerts import AlertStore
    from opencode_cloud.budgets.store.budgets import BudgetStore
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.webhooks.service.announcing import Announcer


class Webhooks:
    """Rules of webhooks. The signing secret is derived from the deployment's key and never stored."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        store: AlertStore,
        budgets: BudgetStore,
        announcer: Announcer,
        deployment_key: Callable[[], str],
        *,
        private: bool = False,
    ) -> None:
        """Create the service. ``private``: whether webhooks may be in private networks and use plain http."""
        self._database = database
        self._outbox = outbox
        self._record = Recorder[str](audit, "budget_webhook", lambda workspace: workspace, lambda _: "")
        self._store = store
        self._budgets = budgets
        self._announcer = announcer
        self._deployment_key = deployment_key
        self._private = private

    def get(self, workspace_id: WorkspaceId) -> Webhook:
        """Return a webhook without its secret; raises ``webhook_not_found``."""
        with self._database.transaction() as connection:
            webhook = self._store.webhook(connection, workspace_id)
        if webhook is None:
            raise webhook_not_found()
        return webhook

    def set(self, actor: Actor, workspace_id: WorkspaceId, url: str) -> NewWebhook:
        """Post alerts to ``url`` from now on, signed with a new secret; raises ``invalid_webhook``."""
        address = clean_url(url, private=self._private)
        with self._outbox.unit() as unit:
            self._budgets.lock(unit.connection, workspace_id)
            hook = self._store.hook(unit.connection, workspace_id)
            # Random, so that removing the webhook and setting it again does not restore an old secret.
            generation, now = secrets.randbelow(2**31), utc_now()
            values = {"url": address, "generation": generation, "updated_by": actor.name, "updated_at": now}
            self._store.set_hook(unit.connection, workspace_id, values)
            # Log the host only; webhook paths often contain secrets.
            before = {"host": urlsplit(hook.url).hostname} if hook else None
            after = {"host": urlsplit(address).hostname}
            self._record(unit, actor, "budget_webhook.set", workspace_id, workspace_id, before=before, after=after)
        secret = signing_secret(self._deployment_key(), workspace_id, generation)
        return NewWebhook(url=address, updated_by=actor.name, updated_at=now, secret=secret)

    def test(self, actor: Actor, workspace_id: WorkspaceId) -> str:
        """Send a message of the type ``webhook.test``, and return its id; raises ``webhook_not_found``."""
        message_id = new_id("whk")
        with self._outbox.unit() as unit:
            if not self._announcer.announce(unit, workspace_id, message_id, TEST, {}):
                raise webhook_not_found()
            self._record(unit, actor, "budget_webhook.tested", workspace_id, workspace_id)
        return message_id

    def remove(self, actor: Actor, workspace_id: WorkspaceId) -> None:
        """Remove the webhook; raises ``webhook_not_found``."""
        with self._outbox.unit() as unit:
            if not self._store.remove_hook(unit.connection, workspace_id):
                raise webhook_not_found()
            self._record(unit, actor, "budget_webhook.removed", workspace_id, workspace_id)


def clean_url(url: str, *, private: bool) -> str:
    """Return a webhook's address in normalized form; raises ``invalid_webhook``.

    Unless ``private`` is set, the address must use https and must not be in a private network.
    """
    try:
        return checked(url, private=private).geturl()
    except ValueError as error:
        raise invalid_webhook(str(error)) from error
