"""Many calls of one workspace at one time: counters stay exact, and the stated limit holds, by DynamoDB's own rule.

The rule (TransactionConflict) is in `benchmarks/contention.py`, because no emulator raises it.
"""

import asyncio
from typing import Any

import pytest

from benchmarks.contention import PRICE, Rows, VirtualLoop, simulate
from opencode_cloud.kit.dynamodb import Contended, TransactionRefused

STATED_RATE = 30
"""Calls a second of one workspace that docs/capacity.md promises."""


def _add(call: str, row: str = "budget#1") -> dict[str, Any]:
    update = {
        "TableName": "budgets",
        "Key": {"pk": {"S": row}, "sk": {"S": "-"}},
        "UpdateExpression": "ADD committed :claim",
        "ConditionExpression": "attribute_not_exists(committed) OR committed <= :room",
        "ExpressionAttributeValues": {":claim": {"N": "3"}, ":room": {"N": "3"}},
    }
    return {"TransactItems": [{"Update": update}], "ClientRequestToken": call}


def _run(*coroutines: Any) -> list[Any]:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(_gather(*coroutines), 60))
    finally:
        loop.close()


async def _gather(*coroutines: Any) -> list[Any]:
    return await asyncio.gather(*coroutines, return_exceptions=True)


def test_transactions_that_meet_on_a_row_are_cancelled_and_others_are_not() -> None:
    rows = Rows()
    first, second, other = _run(
        rows.call("TransactWriteItems", _add("a")),
        rows.call("TransactWriteItems", _add("b")),
        rows.call("TransactWriteItems", _add("c", row="budget#2")),
    )
    assert (first, other) == ({}, {})
    assert isinstance(second, Contended)
    assert rows.rows["budgets", "budget#1", "-"]["committed"] == {"N": "3"}


def test_a_transaction_is_made_once_for_its_token_and_refused_beyond_the_limit() -> None:
    rows = Rows()
    for token in ("a", "a", "b"):
        assert _run(rows.call("TransactWriteItems", _add(token))) == [{}]
    assert rows.rows["budgets", "budget#1", "-"]["committed"] == {"N": "6"}
    (refused,) = _run(rows.call("TransactWriteItems", _add("c")))
    assert isinstance(refused, TransactionRefused)


def test_at_the_stated_rate_no_call_is_refused_and_none_waits_long() -> None:
    outcome = simulate(STATED_RATE)
    assert (outcome.refused, outcome.unsettled) == (0, 0)
    assert outcome.conflicts > 100, "they do meet"
    assert outcome.wait(0.5) < 200
    assert outcome.wait(0.99) < 2000
    assert outcome.committed == outcome.spent == outcome.calls * PRICE


def test_beyond_it_calls_are_refused_and_the_counter_is_exact() -> None:
    outcome = simulate(60)
    served = outcome.calls - outcome.refused
    assert outcome.refused > 0
    assert outcome.spent == (served - outcome.unsettled) * PRICE
    assert outcome.committed == served * PRICE, "a call without settlement still holds its claim until the sweep"


@pytest.mark.parametrize("limit", [PRICE * 50, PRICE * 50 + 1])
def test_a_limit_is_used_up_and_never_passed_in_a_crowd(limit: int) -> None:
    outcome = simulate(25, limit=limit, call_seconds=0.1)
    assert outcome.spent == PRICE * 50
    assert outcome.committed == PRICE * 50
