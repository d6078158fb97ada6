"""Builds the services of budgets that need a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.budgets.service.alert_notifier import AlertNotifier
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.service.budgets import BudgetService
from opencode_cloud.budgets.service.effective_limits import EffectiveLimits
from opencode_cloud.budgets.service.settings import UsageSettingsService
from opencode_cloud.budgets.service.webhooks import Webhooks
from opencode_cloud.budgets.services import BudgetServices
from opencode_cloud.budgets.store.alerts import AlertStore
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.budgets.store.counter_usage import CounterUsageStore
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore
from opencode_cloud.webhooks.service.announcing import Announcer
from opencode_cloud.webhooks.service.sending import DeliveryLog, DeliverySender
from opencode_cloud.webhooks.store.client import HookClient
from opencode_cloud.webhooks.store.deliveries import DeliveryStore

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox


def budget_services(
    database: Database,
    outbox: Outbox,
    deployment_key: Callable[[], str],
    budgets_table: str,
    *,
    private_webhooks: bool = False,
) -> BudgetServices:
    """Build the services.

    Args:
        database: The console plane's database.
        outbox: The outbox of the same database.
        deployment_key: Returns the secret from which signing secrets are derived.
        budgets_table: Name of the DynamoDB table with the counters.
        private_webhooks: True if webhooks may be in private networks and use plain http.
    """
    audit, budgets, alerts = AuditTrail(AuditStore()), BudgetStore(), AlertStore()
    announcer = Announcer(DeliveryStore())
    return BudgetServices(
        budgets=BudgetService(database, outbox, audit, budgets, CounterUsageStore(budgets_table)),
        balance=Balance(database, outbox, audit, budgets),
        settings=UsageSettingsService(database, outbox, audit, budgets),
        webhooks=Webhooks(
            database, outbox, audit, alerts, budgets, announcer, deployment_key, private=private_webhooks
        ),
        alerts=AlertNotifier(database, outbox, Mailer(MailStore(database)), alerts, announcer),
        deliveries=DeliveryLog(database, DeliveryStore()),
    )


def effective_limits(database: Database, budgets_table: str, access: Access) -> EffectiveLimits:
    """Build what explains the limits of members."""
    return EffectiveLimits(database, BudgetStore(), CounterUsageStore(budgets_table), access)


def delivery_sender(database: Database, deployment_key: Callable[[], str], *, private: bool) -> DeliverySender:
    """Build what sends messages to webhooks; ``private``: also to private networks, and by plain http."""
    accepted = AlertStore().mark_accepted
    return DeliverySender(database, DeliveryStore(), HookClient(private=private), deployment_key, accepted)
