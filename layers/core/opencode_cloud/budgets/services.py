"""Group the services of budgets that need a database, for routes and operators."""

from __future__ import annotations

from dataclasses import dataclass

from opencode_cloud.budgets.service.alert_notifier import AlertNotifier
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.service.budgets import BudgetService
from opencode_cloud.budgets.service.settings import UsageSettingsService
from opencode_cloud.budgets.service.webhooks import Webhooks
from opencode_cloud.webhooks.service.sending import DeliveryLog


@dataclass(frozen=True, slots=True)
class BudgetServices:
    """The services of budgets, settings and alerts."""

    budgets: BudgetService
    balance: Balance
    settings: UsageSettingsService
    webhooks: Webhooks
    alerts: AlertNotifier
    deliveries: DeliveryLog
