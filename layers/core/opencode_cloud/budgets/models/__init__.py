"""The nouns of budgets.

Here are those of calls, which every plane knows; what people see and decide is in ``documents``, which is loaded by the
console plane only.
"""

from opencode_cloud.budgets.models.calls import (
    BudgetBusy,
    BudgetExhausted,
    Claim,
    Counter,
    KnownBudget,
    Period,
    RateLimited,
    Refused,
    Reservation,
    Scope,
    Shortage,
    Standing,
    Unit,
    budget_contention,
)

__all__ = [
    "BudgetBusy",
    "BudgetExhausted",
    "Claim",
    "Counter",
    "KnownBudget",
    "Period",
    "RateLimited",
    "Refused",
    "Reservation",
    "Scope",
    "Shortage",
    "Standing",
    "Unit",
    "budget_contention",
]
