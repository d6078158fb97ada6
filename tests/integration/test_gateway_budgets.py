"""Budgets of the deployed stage as callers meet them: the call that does not fit is refused, and is told everything."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import anthropic
import openai
import pytest

from tests.upstreams import Fault, Kind, Script, Usage
from tests.upstreams.sdks import SDKS
from tests.upstreams.world import Shop, World, ask, model_of

FORMATS = sorted(SDKS)
DOLLAR = 100_000_000
"""In micro-cents."""
SECONDS = 5.0
DEAR = Usage(input=0, output=1000)
"""One cent."""
CENT: dict[str, Any] = {"max_output": 1000}
"""What it may cost, its prompt apart."""


@pytest.fixture
def shop(world: World) -> Shop:
    return world.shop()


def budget(shop: Shop, **wish: Any) -> str:
    """Make a budget, and wait until it is in force: a call of a token of it shows."""
    made = shop.owner.http.post(f"{shop.path}/budgets", json=wish)
    assert made.status_code == 201, made.text
    return made.json()["id"]


def in_force(shop: Shop, identity: str) -> None:
    """Wait until calls are held against a budget."""
    deadline = time.monotonic() + SECONDS
    while True:
        script = Script(usage=Usage(input=1, output=1))
        ask(shop.sdk("chat"), model_of("chat"), script, stream=False, max_output=1)
        row = shop.world.stack.client("dynamodb").query(
            TableName=shop.world.stack.outputs["UsageTableName"],
            KeyConditionExpression="pk = :day",
            FilterExpression="contains(#event, :tag)",
            ExpressionAttributeNames={"#event": "event"},
            ExpressionAttributeValues={
                ":day": {"S": f"{shop.workspace}#{time.strftime('%Y-%m-%d', time.gmtime())}"},
                ":tag": {"S": script.tag},
            },
        )
        if any(identity in str(item["counters"]) for item in row["Items"]):
            return
        assert time.monotonic() < deadline, "the budget was not in force in time"
        time.sleep(0.1)


def until_refused(call: Callable[[], Any]) -> tuple[int, Exception]:
    """Repeat a call until it is refused; return how often it was not, and the refusal."""
    for made in range(20):
        try:
            call()
        except (anthropic.APIStatusError, openai.APIStatusError) as error:
            return made, error
    raise AssertionError("nothing was refused")


def standing(shop: Shop, identity: str) -> dict[str, Any]:
    answer = shop.owner.http.get(f"{shop.path}/budgets/{identity}")
    assert answer.status_code == 200, answer.text
    return answer.json()["standing"]


def test_a_budget_stops_the_call_that_no_longer_fits_and_says_why(shop: Shop) -> None:
    identity = budget(shop, scope="workspace", unit="cost", period="month", limit=5 * DOLLAR // 100)
    in_force(shop, identity)
    made, error = until_refused(lambda: ask(shop.sdk("messages"), model_of("messages"), Script(usage=DEAR), **CENT))
    assert made == 4  # the fifth may cost a cent and its prompt, and less than a cent is left
    assert isinstance(error, anthropic.APIStatusError)
    body: Any = error.response.json()["error"]
    assert (error.status_code, body["code"]) == (402, "budget_exhausted")
    assert "$0.05" in body["message"]
    assert "UTC" in body["message"]
    assert (body["budget"], body["limit"], body["unit"]) == (identity, 5 * DOLLAR // 100, "cost")
    assert body["used"] == sum(event.cost for event in shop.events())
    assert body["reserved"] == 0
    assert body["resets_at"].endswith("-01T00:00:00Z")
    resets = datetime.fromisoformat(body["resets_at"]).timestamp()
    assert abs(time.time() + int(error.response.headers["retry-after"]) - resets) < 30
    for word in ("opencode.ai", "FreeUsageLimitError", "GoUsageLimitError", "CreditsError"):
        assert word not in error.response.text
    refused = Script(usage=DEAR)
    for format_ in FORMATS:
        with pytest.raises(Exception, match=r"\$0\.05"):
            ask(shop.sdk(format_), model_of(format_), refused, **CENT)
    assert shop.world.upstreams.of(refused) == []
    assert shop.events_of(refused) == []


def test_what_is_held_back_is_given_back_and_never_more_is_spent(shop: Shop) -> None:
    limit = 10 * DOLLAR // 100
    identity = budget(shop, scope="workspace", unit="cost", period="day", limit=limit)
    in_force(shop, identity)

    def one(_: int) -> str:
        try:
            ask(shop.sdk("chat"), model_of("chat"), Script(usage=DEAR, wait=0.3), **CENT)
        except openai.APIStatusError as error:
            return error.response.json()["error"]["code"]
        return "answered"

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))
    assert answers.count("answered") == 9
    assert set(answers) <= {"answered", "budget_busy", "budget_exhausted"}
    deadline = time.monotonic() + 5
    while (now := standing(shop, identity))["reserved"] and time.monotonic() < deadline:
        time.sleep(0.1)  # a client may have its last event a moment before the call is settled
    spent = sum(event.cost for event in shop.events())
    assert (now["spent"], now["reserved"]) == (spent, 0)
    assert spent <= limit


def test_a_call_that_fits_in_a_moment_is_told_to_come_again(shop: Shop) -> None:
    identity = budget(shop, scope="workspace", unit="cost", period="day", limit=15 * DOLLAR // 1000)
    in_force(shop, identity)
    slow = Script(say="slow", usage=Usage(input=0, output=1), wait=1.0)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, shop.sdk("chat"), model_of("chat"), slow, **CENT)
        while not shop.world.upstreams.of(slow):
            time.sleep(0.02)
        with pytest.raises(openai.RateLimitError) as raised:
            ask(shop.sdk("chat"), model_of("chat"), Script(usage=DEAR), **CENT)
        assert running.result().text == "slow"
    assert raised.value.response.json()["error"]["code"] == "budget_busy"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60
    assert ask(shop.sdk("chat"), model_of("chat"), Script(usage=DEAR), **CENT).text == "Done."


@pytest.mark.parametrize("asked", FORMATS)
def test_what_an_upstream_did_not_do_is_not_spent(shop: Shop, asked: str) -> None:
    identity = budget(shop, scope="workspace", unit="cost", period="day", limit=DOLLAR)
    in_force(shop, identity)
    before = standing(shop, identity)["spent"]
    with pytest.raises(Exception, match="No upstream"):
        ask(shop.sdk(asked), model_of(asked), Script(faults={"*": Fault(Kind.RESET)}))
    after = standing(shop, identity)
    assert (after["spent"], after["reserved"]) == (before, 0)


def test_a_rate_limit_says_when_its_minute_ends(shop: Shop) -> None:
    identity = budget(shop, scope="key", subject_id=shop.key_id, unit="requests", period="minute", limit=3)
    in_force(shop, identity)
    if time.time() % 60 > 50:
        time.sleep(61 - time.time() % 60)  # the calls below are to fall into one minute
    made, error = until_refused(lambda: ask(shop.sdk("chat"), model_of("chat"), Script(), stream=False))
    left = 60 - time.time() % 60
    assert made <= 2  # besides those by which it was seen to be in force
    assert isinstance(error, openai.RateLimitError)
    body: Any = error.response.json()["error"]
    headers = error.response.headers
    assert body["code"] == "rate_limited"
    assert left - 2 <= int(headers["retry-after"]) <= left + 2
    assert "3 requests" in body["message"]


def test_a_limit_of_tokens_counts_what_was_used(shop: Shop) -> None:
    identity = budget(shop, scope="workspace", unit="tokens", period="day", limit=8_500)
    in_force(shop, identity)
    before = standing(shop, identity)["spent"]
    ask(shop.sdk("chat"), model_of("chat"), Script(usage=Usage(input=700, cache_read=50, output=33)), max_output=100)
    assert standing(shop, identity)["spent"] - before == 783
    with pytest.raises(openai.RateLimitError):
        ask(shop.sdk("chat"), model_of("chat"), Script(), max_output=8000)
