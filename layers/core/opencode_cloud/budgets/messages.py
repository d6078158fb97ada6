"""Texts about budgets for people: amounts, and why a call was refused. Clients show these sentences unchanged.

A 402 must not contain words such as "try again" or "rate limit": the client searches messages for them and would send
the call again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, assert_never

from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, KnownBudget, Shortage
from opencode_cloud.kit import money


def amount(unit: BudgetUnit, value: int) -> str:
    """Write an amount with its unit: ``$20.00``, ``1,500 tokens``, ``1 request``."""
    if unit is BudgetUnit.COST:
        return money.shown(value)
    noun = unit.value.removesuffix("s")
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def title(budget: KnownBudget) -> str:
    """Name a budget: ``the monthly budget of ada@example.com``."""
    if budget.scope is BudgetScope.BALANCE:
        return f"the prepaid balance of {budget.name or 'this workspace'}"
    if budget.scope is BudgetScope.SESSION:
        return "the budget of this session"
    whose = holder_of(budget)
    if budget.period is BudgetPeriod.MINUTE:
        return f"the limit of {budget.unit.value} per minute of {whose}"
    kind = "budget" if budget.unit is BudgetUnit.COST else f"budget of {budget.unit.value}"
    return f"the {_adjective(budget.period)} {kind} of {whose}"


def holder_of(budget: KnownBudget) -> str:
    """Return the words for the subject of a limit: its name, or its kind if it has none."""
    if budget.name and budget.scope is BudgetScope.GROUP:
        return f"group {budget.name}"
    if budget.name and budget.of_each_in_group:
        return f"each member of group {budget.name}"
    return budget.name or _UNNAMED[budget.scope]


def _adjective(period: Literal[BudgetPeriod.HOUR, BudgetPeriod.DAY, BudgetPeriod.MONTH, BudgetPeriod.TOTAL]) -> str:
    match period:
        case BudgetPeriod.HOUR:
            return "hourly"
        case BudgetPeriod.DAY:
            return "daily"
        case BudgetPeriod.MONTH:
            return "monthly"
        case BudgetPeriod.TOTAL:
            return "total"
        case _:
            assert_never(period)


_UNNAMED = {
    BudgetScope.WORKSPACE: "this workspace",
    BudgetScope.MEMBER: "this member",
    BudgetScope.EACH_MEMBER: "this member",
    BudgetScope.SERVICE_ACCOUNT: "this service account",
    BudgetScope.KEY: "this key",
    BudgetScope.PROJECT: "this project",
    BudgetScope.SESSION: "this session",
    BudgetScope.BALANCE: "this workspace",
    BudgetScope.GROUP: "this group",
    BudgetScope.EACH_IN_GROUP: "this member",
}


def refusal(shortage: Shortage) -> str:
    """Say in one or two sentences which budget refused a call, how much of it is used, and when it resets."""
    budget, usage = shortage.counter.budget, shortage.usage
    name, limit = title(budget), amount(budget.unit, budget.limit)
    most = amount(budget.unit, shortage.claimed)
    spent = money.shown(usage.spent) if budget.unit is BudgetUnit.COST else f"{usage.spent:,}"
    taken = f"{spent} of {limit} used"
    if usage.reserved:
        taken += f", {amount(budget.unit, usage.reserved)} reserved by calls in progress"
    if shortage.hopeless and budget.limit:
        return f"This call may take up to {most}, and {name} is {limit} in all. Ask for fewer output tokens."
    if not shortage.lasting:
        return f"{_capital(name)} has no room at this moment: {taken}; this call may take up to {most}."
    if usage.spent >= budget.limit:
        return f"{_capital(name)} is used up: {taken}. {_ends(shortage)}"
    return f"{_capital(name)} is too low for this call, which may take up to {most}: {taken}. {_ends(shortage)}"


def details(shortage: Shortage) -> dict[str, Any]:
    """Return the same facts for programs, as members of the error's document."""
    budget = shortage.counter.budget
    return {
        "budget": budget.id,
        "scope": budget.scope.value,
        "subject": budget.subject,
        "name": budget.name,
        "unit": budget.unit.value,
        "period": budget.period.value,
        "limit": budget.limit,
        "used": shortage.usage.spent,
        "reserved": shortage.usage.reserved,
        "asked": shortage.claimed,
        "resets_at": None if shortage.counter.resets_at is None else rfc3339(shortage.counter.resets_at),
    }


def rfc3339(seconds: int) -> str:
    """Format a time (seconds since the epoch) as RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ends(shortage: Shortage) -> str:
    resets_at = shortage.counter.resets_at
    if resets_at is None:
        return _REFILLS.get(shortage.counter.budget.scope, "It does not reset; an admin can raise it.")
    return f"It resets on {datetime.fromtimestamp(resets_at, UTC):%-d %B %Y, %H:%M} UTC."


_REFILLS = {
    BudgetScope.BALANCE: "It must be topped up first.",
    BudgetScope.SESSION: "Begin a new session, or ask an admin to raise the policy's `session_budget`.",
}


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
