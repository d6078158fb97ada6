"""Budgets of the deployed stage for callers: a call that does not fit is refused, with all details."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import anthropic
import openai
import pytest

from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.schema.usage_events import counters_of, from_row
from opencode_cloud.usage.models import UsageEvent
from tests.upstreams import Fault, Kind, Script, Usage
from tests.upstreams.sdks import SDKS
from tests.upstreams.world import Shop, World, ask, model_of
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("gateway")

FORMATS = sorted(SDKS)
"""In micro-cents."""
DEAR = Usage(input=0, output=1000)
"""One cent."""
CENT: dict[str, Any] = {"max_output": 1000}
"""Options of a call that may cost a cent at most, without its prompt."""


@pytest.fixture
def shop(world: World) -> Shop:
    return world.shop()


def budget(shop: Shop, **wish: Any) -> str:
    """Create a budget, and wait until it is in force, as a call of one token shows."""
    made = shop.owner.http.post(f"{shop.path}/budgets", json=wish)
    assert made.status_code == 201, made.text
    return made.json()["id"]


def counted(shop: Shop, identity: str) -> list[UsageEvent]:
    """Return the events of the calls that counted towards a budget."""
    return [from_row(row) for row in shop.rows() if any(identity in key for key in counters_of(row))]


def in_force(shop: Shop, identity: str) -> None:
    """Wait until calls count towards a budget."""

    def one_more() -> bool:
        ask(shop.sdk("chat"), model_of("chat"), Script(usage=Usage(input=1, output=1)), stream=False, max_output=1)
        return bool(counted(shop, identity))

    until(one_more)


def until_refused(call: Callable[[], Any]) -> tuple[int, Exception]:
    """Repeat a call until it is refused; return the number of accepted calls, and the refusal."""
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


def settled(shop: Shop, identity: str) -> dict[str, Any]:
    """Wait until all calls are settled, and return the standing: a client can receive its last event before."""
    return until(lambda: now if (now := standing(shop, identity))["reserved"] == 0 else {})


def test_a_budget_stops_the_call_that_no_longer_fits_and_says_why(shop: Shop) -> None:
    identity = budget(shop, scope="workspace", unit="cost", period="month", limit=5 * DOLLAR // 100)
    in_force(shop, identity)

    def call() -> None:
        ask(shop.sdk("messages"), model_of("messages"), Script(usage=DEAR), **CENT)
        settled(shop, identity)

    made, error = until_refused(call)
    assert made == 4  # the fifth call may cost a cent and its prompt, but less than a cent is left
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
    spent = settled(shop, identity)["spent"]
    assert spent == sum(event.cost for event in shop.events())
    assert spent <= limit


def test_a_call_that_fits_in_a_moment_is_told_to_come_again(shop: Shop) -> None:
    identity = budget(shop, scope="workspace", unit="cost", period="day", limit=15 * DOLLAR // 1000)
    in_force(shop, identity)
    slow = Script(say="slow", usage=Usage(input=0, output=1), wait=1.0)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, shop.sdk("chat"), model_of("chat"), slow, **CENT)
        until(lambda: shop.world.upstreams.of(slow))
        with pytest.raises(openai.RateLimitError) as raised:
            ask(shop.sdk("chat"), model_of("chat"), Script(usage=DEAR), **CENT)
        assert running.result().text == "slow"
    assert raised.value.response.json()["error"]["code"] == "budget_busy"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60
    settled(shop, identity)
    assert ask(shop.sdk("chat"), model_of("chat"), Script(usage=DEAR), **CENT).text == "Done."


@pytest.mark.parametrize("asked", FORMATS)
def test_what_an_upstream_did_not_do_is_not_spent(shop: Shop, asked: str) -> None:
    identity = budget(shop, scope="workspace", unit="cost", period="day", limit=DOLLAR)
    in_force(shop, identity)
    before = standing(shop, identity)["spent"]
    with pytest.raises(Exception, match="No upstream"):
        ask(shop.sdk(asked), model_of(asked), Script(faults={"*": Fault(Kind.RESET)}))
    assert settled(shop, identity)["spent"] == before


def test_a_rate_limit_says_when_its_minute_ends(shop: Shop) -> None:
    identity = budget(shop, scope="key", subject_id=shop.key_id, unit="requests", period="minute", limit=3)
    in_force(shop, identity)
    _, error = until_refused(lambda: ask(shop.sdk("chat"), model_of("chat"), Script(), stream=False))
    now = time.time()
    assert isinstance(error, openai.RateLimitError)
    body: Any = error.response.json()["error"]
    assert body["code"] == "rate_limited"
    assert "3 requests" in body["message"]
    ends = datetime.fromisoformat(body["resets_at"]).timestamp()
    assert ends % 60 == 0
    # In the minute of the refusal, three calls were answered.
    assert len([event for event in counted(shop, identity) if ends - 60 <= event.at / 1000 < ends]) == 3
    asked = now - error.response.elapsed.total_seconds()
    assert ends - now - 1 <= int(error.response.headers["retry-after"]) <= ends - asked + 1


def test_a_limit_of_tokens_counts_what_was_used(shop: Shop) -> None:
    identity = budget(shop, scope="workspace", unit="tokens", period="day", limit=8_500)
    in_force(shop, identity)
    before = standing(shop, identity)["spent"]
    ask(shop.sdk("chat"), model_of("chat"), Script(usage=Usage(input=700, cache_read=50, output=33)), max_output=100)
    assert settled(shop, identity)["spent"] - before == 783
    with pytest.raises(openai.RateLimitError):
        ask(shop.sdk("chat"), model_of("chat"), Script(), max_output=8000)
