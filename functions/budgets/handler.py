"""Reaps the leases of crashed calls and detects crossed thresholds."""

from opencode_cloud.kit.starting import Starting

with Starting():
    from opencode_cloud.composition import budgets
    from opencode_cloud.kit.settings import load

    handler = budgets.build(load(budgets.BudgetsSettings))
