"""Rules of budgets, free of AWS and HTTP. This package exports the rules that need no database.

Functions with a database import ``budgets``, ``balance``, ``settings`` and ``webhooks`` directly.
"""

from opencode_cloud.budgets.service.applying import counters_of
from opencode_cloud.budgets.service.lease_reaper import LeaseReaper
from opencode_cloud.budgets.service.reservations import Reservations
from opencode_cloud.budgets.service.subjects import BudgetSubjects
from opencode_cloud.budgets.service.threshold_detector import ThresholdDetector

__all__ = ["BudgetSubjects", "LeaseReaper", "Reservations", "ThresholdDetector", "counters_of"]
