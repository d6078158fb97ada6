"""The function `ledger`: brings usage into the database, delivers alerts, writes exports, reconciles every night."""

from __future__ import annotations

from typing import Annotated

from opencode_cloud.budgets.deliveries import AlertDeliveries
from opencode_cloud.composition.control_plane import ControlPlane
from opencode_cloud.composition.services.billing import billing_services
from opencode_cloud.composition.services.budgets import budget_services, delivery_sender
from opencode_cloud.composition.services.usage import UsageResources, UsageServices
from opencode_cloud.composition.settings import (
    AlertsQueueUrl,
    BillingEnabled,
    BudgetsTable,
    ExportsBucket,
    ExportsQueueUrl,
    LedgerKey,
    PrivateProviders,
    UsageTable,
)
from opencode_cloud.composition.sql_settings import ControlPlaneSettings
from opencode_cloud.kit.event_dispatch import Dispatch
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.usage.deliveries import ExportDeliveries
from opencode_cloud.usage.service.retention import DEFAULT_DAYS
from opencode_cloud.usage.stream import UsageStream
from opencode_cloud.webhooks.deliveries import WebhookDeliveries
from opencode_cloud.webhooks.store.webhook_queue import WebhookQueue


class LedgerSettings(ControlPlaneSettings):
    """Environment variables of the function."""

    usage_table: UsageTable
    budgets_table: BudgetsTable
    alerts_queue_url: AlertsQueueUrl
    exports_queue_url: ExportsQueueUrl
    exports_bucket: ExportsBucket
    billing: BillingEnabled = False
    ledger_key: LedgerKey = ""
    usage_retention_days: Annotated[int, "the number of days that usage events are kept in the database"] = DEFAULT_DAYS
    private_providers: PrivateProviders = False


def build(settings: LedgerSettings) -> Handler:
    """Return the handler."""
    plane = ControlPlane(settings)
    resources = UsageResources(
        usage_table=settings.usage_table,
        budgets_table=settings.budgets_table,
        exports_queue=settings.exports_queue_url,
        exports_bucket=settings.exports_bucket,
        retention_days=settings.usage_retention_days,
    )
    billing = billing_services(
        plane.database, plane.outbox, plane.audit, enabled=settings.billing, ledger_key=settings.ledger_key
    )
    settlement = billing.settlement if billing else None
    usage = UsageServices.over(plane.database, plane.outbox, plane.audit, resources, settlement)
    budgets = budget_services(
        plane.database,
        plane.outbox,
        plane.deployment_key,
        settings.budgets_table,
    )
    sender = delivery_sender(plane.database, plane.deployment_key, private=settings.private_providers)
    dispatch = Dispatch(
        {
            settings.alerts_queue_url: AlertDeliveries(budgets.alerts).handle,
            settings.exports_queue_url: ExportDeliveries(usage.exporting).handle,
            settings.webhooks_queue_url: WebhookDeliveries(sender, WebhookQueue(settings.webhooks_queue_url)).handle,
        },
        usage.nightly({**(billing.nightly() if billing else {}), "webhook deliveries": budgets.deliveries.purge}).run,
        {settings.usage_table: UsageStream(usage.ingest).handle},
    )
    return frame(lambda event, _context: dispatch.handle(event))
