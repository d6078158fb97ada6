"""Rules of budgets, free of AWS and HTTP. Those of calls and of other features are offered here.

What people decide (``allowances``, ``balance``, ``settings``, ``webhooks``) is imported by who has a database.
"""

from opencode_cloud.budgets.service.alerting import Alerting
from opencode_cloud.budgets.service.applying import counters_of
from opencode_cloud.budgets.service.calls import Budgets
from opencode_cloud.budgets.service.subjects import BudgetSubjects
from opencode_cloud.budgets.service.sweeping import Sweep

__all__ = ["Alerting", "BudgetSubjects", "Budgets", "Sweep", "counters_of"]
