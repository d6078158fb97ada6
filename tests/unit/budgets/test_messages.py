"""Messages to people about calls that a budget refused."""

import pytest

from opencode_cloud.budgets.messages import amount, refusal
from opencode_cloud.contracts.budgets import (
    BudgetPeriod,
    BudgetScope,
    BudgetUnit,
    BudgetUsage,
    Counter,
    KnownBudget,
    Shortage,
)
from opencode_cloud.kit.money import DOLLAR

DECEMBER = 1_796_083_200
"""2026-12-01T00:00:00Z, in seconds."""


def shortage(asked: int, spent: int, reserved: int = 0, limit: int = 20 * DOLLAR, **more: object) -> Shortage:
    kind = {
        "scope": BudgetScope.MEMBER,
        "unit": BudgetUnit.COST,
        "period": BudgetPeriod.MONTH,
        "name": "intern@example.com",
        **more,
    }
    known = KnownBudget(id="bud_1", limit=limit, **kind)  # pyright: ignore[reportArgumentType]
    resets_at = None if known.period is BudgetPeriod.TOTAL else DECEMBER
    counter = Counter(key="x", budget=known, resets_at=resets_at)
    return Shortage(counter=counter, claimed=asked, usage=BudgetUsage(spent=spent, reserved=reserved))


@pytest.mark.parametrize(
    ("short", "text"),
    [
        (
            shortage(1, 20 * DOLLAR),
            "The monthly budget of intern@example.com is used up: $20.00 of $20.00 used. "
            "It resets on 1 December 2026, 00:00 UTC.",
        ),
        (
            shortage(1, 20 * DOLLAR, scope=BudgetScope.PROJECT, name="project team/web"),
            "The monthly budget of project team/web is used up: $20.00 of $20.00 used. "
            "It resets on 1 December 2026, 00:00 UTC.",
        ),
        (
            shortage(1, 20 * DOLLAR, scope=BudgetScope.GROUP, subject="grp_1", name="Research"),
            "The monthly budget of group Research is used up: $20.00 of $20.00 used. "
            "It resets on 1 December 2026, 00:00 UTC.",
        ),
        (
            shortage(
                1,
                20 * DOLLAR,
                scope=BudgetScope.EACH_IN_GROUP,
                subject="mem_1",
                name="ada@example.com in group Research",
            ),
            "The monthly budget of ada@example.com in group Research is used up: $20.00 of $20.00 used. "
            "It resets on 1 December 2026, 00:00 UTC.",
        ),
        (
            shortage(1, 5 * DOLLAR, 0, 5 * DOLLAR, scope=BudgetScope.SESSION, period=BudgetPeriod.TOTAL, name=""),
            "The budget of this session is used up: $5.00 of $5.00 used. "
            "Begin a new session, or ask an admin to raise the policy's `session_budget`.",
        ),
        (
            shortage(DOLLAR, 19 * DOLLAR + 1, DOLLAR // 4),
            "The monthly budget of intern@example.com is too low for this call, which may take up to $1.00: "
            "$19.0000 of $20.00 used, $0.25 reserved by calls in progress. "
            "It resets on 1 December 2026, 00:00 UTC.",
        ),
        (
            shortage(DOLLAR, 15 * DOLLAR, 5 * DOLLAR),
            "The monthly budget of intern@example.com has no room at this moment: $15.00 of $20.00 used, "
            "$5.00 reserved by calls in progress; this call may take up to $1.00.",
        ),
        (
            shortage(5 * DOLLAR, 0, limit=DOLLAR),
            "This call may take up to $5.00, and the monthly budget of intern@example.com is $1.00 in all. "
            "Ask for fewer output tokens.",
        ),
        (
            shortage(
                1, 3, limit=3, unit=BudgetUnit.REQUESTS, period=BudgetPeriod.MINUTE, scope=BudgetScope.KEY, name="ci"
            ),
            "The limit of requests per minute of ci is used up: 3 of 3 requests used. "
            "It resets on 1 December 2026, 00:00 UTC.",
        ),
        (
            shortage(
                1, 25 * DOLLAR, limit=25 * DOLLAR, scope=BudgetScope.BALANCE, period=BudgetPeriod.TOTAL, name="Acme"
            ),
            "The prepaid balance of Acme is used up: $25.00 of $25.00 used. It must be topped up first.",
        ),
        (
            shortage(1, 0, limit=0, scope=BudgetScope.KEY, name="ci"),
            "The monthly budget of ci is used up: $0.00 of $0.00 used. It resets on 1 December 2026, 00:00 UTC.",
        ),
    ],
)
def test_a_refusal_says_which_budget_how_much_and_until_when(short: Shortage, text: str) -> None:
    assert refusal(short) == text


def test_units_are_counted_in_words() -> None:
    assert [amount(BudgetUnit.REQUESTS, 1), amount(BudgetUnit.TOKENS, 1500)] == ["1 request", "1,500 tokens"]
