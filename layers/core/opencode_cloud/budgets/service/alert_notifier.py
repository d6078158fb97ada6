"""Notify people that a budget reached a threshold: once by mail, and by webhook until the webhook accepts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from opencode_cloud.budgets.messages import amount, rfc3339, title
from opencode_cloud.budgets.models.documents import Alert, webhook_not_accepted, webhook_not_found
from opencode_cloud.budgets.models.thresholds import ThresholdReached
from opencode_cloud.budgets.service.webhooks import signed_headers, signing_secret
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.errors import Redeliver
from opencode_cloud.kit.ids import new_id

if TYPE_CHECKING:
    from opencode_cloud.budgets.store.alerts import AlertStore, Hook
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.outbox.service import Outbox, UnitOfWork

EVENT = "budget.threshold"
TEST_EVENT = "budget.test"


class WebhookClient(Protocol):
    """A client that posts to webhooks."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Post ``body``; return whether the webhook accepted it."""
        ...


class WebhookRejected(Redeliver):
    """A workspace's webhook did not accept an alert. People were notified by mail."""


class AlertNotifier:
    """Rules of notification. One transaction writes an alert's row and queues its mails, so each happens once."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        mailer: Mailer,
        store: AlertStore,
        hooks: WebhookClient,
        deployment_key: Callable[[], str],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._mailer = mailer
        self._store = store
        self._hooks = hooks
        self._deployment_key = deployment_key

    def of_workspace(
        self, workspace_id: WorkspaceId, before: tuple[datetime, str] | None = None, limit: int | None = None
    ) -> Sequence[Alert]:
        """Return alerts, the newest first."""
        with self._database.transaction() as connection:
            return self._store.of_workspace(connection, workspace_id, before, limit)

    def deliver(self, event: ThresholdReached) -> None:
        """Notify people and the workspace's webhook. A repeated message notifies only the missing ones.

        Raises :class:`WebhookRejected` when the webhook must be tried again.
        """
        with self._outbox.unit() as unit:
            workspace_name = self._store.workspace_name(unit.connection, event.workspace_id)
            if workspace_name is None:
                return
            if self._store.add_once(unit.connection, _row(event)):
                self._mail(unit, event, workspace_name)
            alert = self._store.get(unit.connection, event.id)
            hook = self._store.hook(unit.connection, event.workspace_id)
        # After the commit, because a webhook that fails raises an error and must not undo the mails.
        if hook is not None and alert is not None and alert.webhook_at is None:
            self._post(hook, event, workspace_name)

    def send_test(self, workspace_id: WorkspaceId) -> None:
        """Post a test to the workspace's webhook, signed as an alert.

        Raises ``webhook_not_found`` (404), or ``webhook_not_accepted`` (422) if it does not answer with 2xx.
        """
        with self._database.transaction() as connection:
            workspace_name = self._store.workspace_name(connection, workspace_id)
            hook = self._store.hook(connection, workspace_id)
        if hook is None:
            raise webhook_not_found()
        id_, now = new_id("tst"), now_seconds()
        body = {
            "id": id_,
            "type": TEST_EVENT,
            "created_at": rfc3339(now),
            "workspace": {"id": workspace_id, "name": workspace_name},
        }
        if not self._send(hook, workspace_id, id_, body):
            raise webhook_not_accepted()

    def _mail(self, unit: UnitOfWork, event: ThresholdReached, workspace_name: str) -> None:
        """Mail owners, admins, billing members, and the person whose budget or key it is."""
        budget, resets_at = event.budget, event.resets_at
        variables = {
            "workspace": workspace_name,
            "budget": title(budget),
            "threshold": event.threshold,
            "used": amount(budget.unit, event.used),
            "limit": amount(budget.unit, budget.limit),
            "refused": event.refused,
            "resets": "" if resets_at is None else f"{datetime.fromtimestamp(resets_at, UTC):%-d %B %Y, %H:%M} UTC",
        }
        for recipient in self._store.recipients(unit.connection, event.workspace_id, budget.subject):
            self._mailer.queue(unit, Template.BUDGET_ALERT, recipient, variables, event.workspace_id)

    def _post(self, hook: Hook, event: ThresholdReached, workspace_name: str) -> None:
        if not self._send(hook, event.workspace_id, event.id, _body(event, workspace_name)):
            raise WebhookRejected(event.id)
        with self._database.transaction() as connection:
            self._store.mark_accepted(connection, event.id, utc_now())

    def _send(self, hook: Hook, workspace_id: WorkspaceId, id_: str, document: Mapping[str, Any]) -> bool:
        """Post a signed document; return whether the webhook accepted it."""
        body = msgspec.json.encode(document)
        secret = signing_secret(self._deployment_key(), workspace_id, hook.generation)
        signature = signed_headers(secret, id_, now_seconds(), body)
        return self._hooks.post(hook.url, {"content-type": "application/json", **signature}, body)


def _row(event: ThresholdReached) -> dict[str, Any]:
    budget, resets_at = event.budget, event.resets_at
    return {
        "id": event.id,
        "workspace_id": event.workspace_id,
        "budget_id": budget.id,
        "subject_id": budget.subject,
        "name": title(budget)[:255],
        "threshold": event.threshold,
        "unit": budget.unit,
        "used": event.used,
        "amount": budget.limit,
        "window_start": _moment(event.starts_at),
        "resets_at": None if resets_at is None else _moment(resets_at),
        "created_at": utc_now(),
    }


def _body(event: ThresholdReached, workspace_name: str) -> dict[str, Any]:
    budget = event.budget
    return {
        "id": event.id,
        "type": EVENT,
        "created_at": rfc3339(event.at),
        "workspace": {"id": event.workspace_id, "name": workspace_name},
        "budget": {
            "id": budget.id,
            "name": title(budget),
            "scope": budget.scope,
            "subject_id": budget.subject or None,
            "unit": budget.unit,
            "period": budget.period,
            "limit": budget.limit,
        },
        "threshold": event.threshold,
        "used": event.used,
        "refused": event.refused,
        "window_start": rfc3339(event.starts_at),
        "resets_at": None if event.resets_at is None else rfc3339(event.resets_at),
    }


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
