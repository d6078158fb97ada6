"""Rules of budgets, free of AWS and HTTP."""

from opencode_cloud.budgets.service.applying import counters_of
from opencode_cloud.budgets.service.calls import Budgets
from opencode_cloud.budgets.service.sweeping import Sweep

__all__ = ["Budgets", "Sweep", "counters_of"]
