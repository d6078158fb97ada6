"""Builds the services of budgets that need a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.budgets.service.alert_notifier import AlertNotifier
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.service.budgets import BudgetService
from opencode_cloud.budgets.service.settings import UsageSettingsService
from opencode_cloud.budgets.service.webhooks import Webhooks
from opencode_cloud.budgets.services import BudgetServices
from opencode_cloud.budgets.store.alerts import AlertStore
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.budgets.store.counter_usage import CounterUsageStore
from opencode_cloud.budgets.store.hooks import HookClient
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore

if TYPE_CHECKING:
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
    hooks = HookClient(private=private_webhooks)
    return BudgetServices(
        budgets=BudgetService(database, outbox, audit, budgets, CounterUsageStore(budgets_table)),
        balance=Balance(database, outbox, audit, budgets),
        settings=UsageSettingsService(database, outbox, audit, budgets),
        webhooks=Webhooks(database, outbox, audit, alerts, budgets, deployment_key, private=private_webhooks),
        alerts=AlertNotifier(database, outbox, Mailer(MailStore(database)), alerts, hooks, deployment_key),
    )
