"""Notify people that a budget reached a threshold: once by mail, and once by the workspace's webhook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opencode_cloud.budgets.messages import amount, rfc3339, title
from opencode_cloud.budgets.models.documents import Alert
from opencode_cloud.budgets.models.thresholds import ThresholdReached
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.kit.clock import utc_now

if TYPE_CHECKING:
    from opencode_cloud.budgets.store.alerts import AlertStore
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.webhooks.service.announcing import Announcer

EVENT = "budget.threshold"


class AlertNotifier:
    """Rules of notification. One transaction writes an alert, and queues its mails and its message to the webhook."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        mailer: Mailer,
        store: AlertStore,
        announcer: Announcer,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._mailer = mailer
        self._store = store
        self._announcer = announcer

    def of_workspace(
        self, workspace_id: WorkspaceId, before: tuple[datetime, str] | None = None, limit: int | None = None
    ) -> Sequence[Alert]:
        """Return alerts, the newest first."""
        with self._database.transaction() as connection:
            return self._store.of_workspace(connection, workspace_id, before, limit)

    def deliver(self, event: ThresholdReached) -> None:
        """Notify people and the workspace's webhook. A repeated message has no further effect."""
        with self._outbox.unit() as unit:
            workspace_name = self._store.workspace_name(unit.connection, event.workspace_id)
            if workspace_name is not None and self._store.add_once(unit.connection, _row(event)):
                self._mail(unit, event, workspace_name)
                self._announcer.announce(unit, event.workspace_id, event.id, EVENT, _facts(event))

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


def _facts(event: ThresholdReached) -> dict[str, Any]:
    budget = event.budget
    return {
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
