"""Names of budgets and amounts in the language of the page. Refusals and mails have them in English."""

from __future__ import annotations

from opencode_cloud.budgets.messages import holder_of
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, KnownBudget
from opencode_cloud.kit import money
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.languages import ngettext
from opencode_cloud.kit.marked_messages import gettext_noop

_PERIODS = {
    BudgetPeriod.HOUR: gettext_noop("Hourly"),
    BudgetPeriod.DAY: gettext_noop("Daily"),
    BudgetPeriod.MONTH: gettext_noop("Monthly"),
    BudgetPeriod.TOTAL: gettext_noop("Total"),
}
_HOLDERS = (
    gettext_noop("each member"),
    gettext_noop("this workspace"),
    gettext_noop("this member"),
    gettext_noop("this service account"),
    gettext_noop("this key"),
    gettext_noop("this project"),
    gettext_noop("this group"),
)
"""Subjects without a name."""


def budget_name(budget: KnownBudget) -> str:
    """Name a budget: ``Monthly budget of ada@example.com``."""
    whose = _whose(budget)
    if budget.scope is BudgetScope.BALANCE:
        return _("Prepaid balance of %(whose)s", whose=whose)
    if budget.scope is BudgetScope.SESSION:
        return _("Budget of this session")
    if budget.period is BudgetPeriod.MINUTE:
        return _("Limit of %(unit)s per minute of %(whose)s", unit=_(budget.unit.value), whose=whose)
    period = _(_PERIODS[budget.period])
    if budget.unit is BudgetUnit.COST:
        return _("%(period)s budget of %(whose)s", period=period, whose=whose)
    return _("%(period)s budget of %(unit)s of %(whose)s", period=period, unit=_(budget.unit.value), whose=whose)


def _whose(budget: KnownBudget) -> str:
    if budget.name and budget.scope is BudgetScope.GROUP:
        return _("group %(name)s", name=budget.name)
    if budget.name and budget.of_each_in_group:
        return _("each member of group %(name)s", name=budget.name)
    holder = holder_of(budget)
    return _(holder) if holder in _HOLDERS else holder


def amount_of(unit: BudgetUnit, value: int) -> str:
    """Write an amount with its unit: ``$20.00``, ``1,500 tokens``, ``1 request``."""
    count = f"{value:,}"
    match unit:
        case BudgetUnit.COST:
            return money.shown(value)
        case BudgetUnit.REQUESTS:
            return ngettext("%(count)s request", "%(count)s requests", value, count=count)
        case BudgetUnit.TOKENS:
            return ngettext("%(count)s token", "%(count)s tokens", value, count=count)
