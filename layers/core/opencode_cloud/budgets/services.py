"""The services of budgets that need a database, as routes and operators use them."""

from __future__ import annotations

from dataclasses import dataclass

from opencode_cloud.budgets.service.alerts import Alerts
from opencode_cloud.budgets.service.allowances import Allowances
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.service.settings import UsageSetting
from opencode_cloud.budgets.service.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class BudgetServices:
    """What people decide about budgets, and what they are told of them."""

    allowances: Allowances
    balance: Balance
    settings: UsageSetting
    webhooks: Webhooks
    alerts: Alerts
