"""`/api/v1/workspaces/{workspace}/budget-alerts`: alerts of budgets, and the webhook that receives them."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from opencode_cloud.budgets.models.documents import Alert, NewWebhook, Webhook
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.webhooks.models import WebhookDelivery

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.alert_notifier import AlertNotifier
    from opencode_cloud.budgets.service.webhooks import Webhooks
    from opencode_cloud.webhooks.service.sending import DeliveryLog

TAG = "Budgets"


class WebhookSetting(BaseModel):
    """The address to post alerts to."""

    url: Annotated[str, Field(min_length=8, max_length=2048, description="An `https://` address.")]


class SentTest(BaseModel):
    """A test that was sent."""

    id: str = Field(description="The id of its delivery.")


class AlertRoutes:
    """Routes of alerts."""

    def __init__(self, alerts: AlertNotifier, webhooks: Webhooks, deliveries: DeliveryLog, gate: Gate) -> None:
        self._alerts = alerts
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, root = self._gate.add, f"{WORKSPACE}/budget-alerts"
        read, manage, hook = Permission.BUDGET_READ, Permission.BUDGET_MANAGE, f"{root}/webhook"
        add(f"GET {root}", self.list, read, "List alerts of budgets", TAG)
        add(f"GET {hook}/deliveries", self.deliveries, read, "List deliveries to the webhook", TAG)
        add(f"POST {hook}/test", self.test_webhook, manage, "Send a test to the webhook", TAG, HTTPStatus.ACCEPTED)
        add(f"GET {hook}", self.webhook, read, "Read the webhook of alerts", TAG)
        add(f"PUT {hook}", self.set_webhook, manage, "Set the webhook of alerts", TAG)
        add(f"DELETE {hook}", self.remove_webhook, manage, "Remove the webhook of alerts", TAG, HTTPStatus.NO_CONTENT)

    def list(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[Alert]]:
        """List alerts, the newest first. There is one alert for each of 50, 80 and 100 % of a budget in a window."""
        before = decode_cursor(cursor, tuple[datetime, str])
        rows = self._alerts.of_workspace(workspace_id, before, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.created_at, row.id), lambda row: row))

    def webhook(self, workspace_id: WorkspaceId) -> Response[Webhook]:
        """Read the webhook's address, without the signing secret."""
        return document(self._webhooks.get(workspace_id))

    def deliveries(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[WebhookDelivery]]:
        """List the messages of the last 30 days with each attempt and the time of the next one, the newest first."""
        before = decode_cursor(cursor, tuple[datetime, str])
        rows = self._deliveries.of_workspace(workspace_id, before, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.created_at, row.id), lambda row: row))

    def test_webhook(self, workspace_id: WorkspaceId) -> Response[SentTest]:
        """Send a message of the type `webhook.test`. The list of deliveries shows whether it was accepted."""
        return document(SentTest(id=self._webhooks.test(self._gate.actor, workspace_id)), HTTPStatus.ACCEPTED)

    def set_webhook(self, workspace_id: WorkspaceId, body: WebhookSetting) -> Response[NewWebhook]:
        """Post alerts to an address from now on. Only this answer shows the new signing secret; the old one ends.

        Requests follow the [Standard Webhooks](https://www.standardwebhooks.com) convention: `webhook-id`,
        `webhook-timestamp`, `webhook-signature`. The same alert can arrive twice, with the same `webhook-id`.
        """
        return document(self._webhooks.set(self._gate.actor, workspace_id, body.url))

    def remove_webhook(self, workspace_id: WorkspaceId) -> Response[None]:
        """Stop posting alerts. Mails are still sent."""
        self._webhooks.remove(self._gate.actor, workspace_id)
        return nothing()
