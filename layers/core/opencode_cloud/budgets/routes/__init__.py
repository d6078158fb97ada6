"""HTTP routes of budgets, alerts and settings of usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.budgets.routes.alerts import AlertRoutes
from opencode_cloud.budgets.routes.budgets import BudgetRoutes
from opencode_cloud.budgets.routes.limits import LimitRoutes
from opencode_cloud.budgets.routes.settings import SettingsRoutes
from opencode_cloud.http.gate import Gate

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from opencode_cloud.access.service import Access
    from opencode_cloud.budgets.service.effective_limits import EffectiveLimits
    from opencode_cloud.budgets.services import BudgetServices

__all__ = ["BudgetsRoutes"]


class BudgetsRoutes:
    """All routes of budgets."""

    def __init__(self, budgeting: BudgetServices, limits: EffectiveLimits, access: Access) -> None:
        self._budgeting = budgeting
        self._limits = limits
        self._access = access

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        gate, budgeting = Gate(app, self._access), self._budgeting
        BudgetRoutes(budgeting.budgets, budgeting.balance, gate).mount()
        LimitRoutes(self._limits, gate).mount()
        AlertRoutes(budgeting.alerts, budgeting.webhooks, budgeting.deliveries, gate).mount()
        SettingsRoutes(budgeting.settings, gate).mount()
