"""Rules of budgets, free of AWS and HTTP. This package exports the rules that need no database.

Functions with a database import ``allowances``, ``balance``, ``settings`` and ``webhooks`` directly.
"""

from opencode_cloud.budgets.service.alerting import Alerting
from opencode_cloud.budgets.service.applying import counters_of
from opencode_cloud.budgets.service.calls import Budgets
from opencode_cloud.budgets.service.subjects import BudgetSubjects
from opencode_cloud.budgets.service.sweeping import Sweep

__all__ = ["Alerting", "BudgetSubjects", "Budgets", "Sweep", "counters_of"]
