"""Group the services of budgets that need a database, for routes and operators."""

from __future__ import annotations

from dataclasses import dataclass

from opencode_cloud.budgets.service.alerts import Alerts
from opencode_cloud.budgets.service.allowances import Allowances
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.service.settings import UsageSetting
from opencode_cloud.budgets.service.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class BudgetServices:
    """The services of budgets, settings and alerts."""

    allowances: Allowances
    balance: Balance
    settings: UsageSetting
    webhooks: Webhooks
    alerts: Alerts
