"""Attribution through the deployed stage: usage by project and agent, budgets of projects and sessions, fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.money import DOLLAR
from tests.integration.world import must
from tests.upstreams import Script, Usage
from tests.upstreams.world import CENTS_A_MILLION, PROVIDER, REQUEST, UPSTREAM_OF, Shop, World, model_of
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("gateway")

CENT = DOLLAR // 100
DEAR = Usage(input=0, output=1000)
"""One cent."""
CHAINS = [
    {
        "model": f"{PROVIDER}/unreachable",
        "to": [f"{PROVIDER}/none", f"{PROVIDER}/{model_of('chat')}"],
        "when": ["unavailable"],
    }
]
PATHS = {
    "chat": "/zen/v1/chat/completions",
    "responses": "/zen/v1/responses",
    "messages": "/zen/v1/messages",
    "generate": "/zen/v1/models/{}:generateContent",
}


@pytest.fixture
def shop(world: World) -> Shop:
    """Create a workspace with a header of projects, a budget for each session, and a chain of fallbacks."""
    made = world.shop()
    settings = {"metadata_days": 0, "project_headers": ["x-cost-center"]}
    must(made.owner.http.put(f"{made.path}/usage/settings", json=settings))
    policy = {"session_budget": 5 * CENT, "fallbacks": CHAINS}
    must(made.owner.http.put(f"{made.path}/policy", json={"policy": policy}, headers={"If-Match": '"0"'}))
    until(lambda: made.known().policy.session_budget and made.known().project_headers)
    return made


def call(
    shop: Shop, script: Script, format_: str = "chat", model: str = "", key: str = "", **headers: str
) -> httpx.Response:
    """Call a model for one cent at most, without its prompt."""
    model, message = model or model_of(format_), {"role": "user", "content": script.prompt()}
    body: dict[str, Any] = {"model": model, "messages": [message], "max_tokens": 1000}
    if format_ == "responses":
        body = {"model": model, "input": script.prompt(), "max_output_tokens": 1000}
    if format_ == "generate":
        body = {"contents": [{"role": "user", "parts": [{"text": script.prompt()}]}]}
        body["generationConfig"] = {"maxOutputTokens": 1000}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"authorization": f"Bearer {key or shop.key}", REQUEST: script.tag, **named}
    return shop.post(PATHS[format_].format(model), body, sent)


def groups(shop: Shop, by: str, **query: str) -> dict[str, int]:
    """Return the calls of each group by its display name."""
    found = must(shop.owner.http.get(f"{shop.path}/usage/totals", params={"group_by": by, **query}))
    return {each["name"]: each["usage"]["calls"] for each in found["data"]}


def until_refused(ask: Callable[[], httpx.Response]) -> tuple[int, httpx.Response]:
    """Repeat a call until it is refused; return the number of answered calls, and the refusal."""
    for made in range(20):
        answer = ask()
        if answer.status_code != 200:
            return made, answer
    raise AssertionError("nothing was refused")


def test_usage_says_who_and_what_for(shop: Shop) -> None:
    robot = must(shop.owner.http.post(f"{shop.path}/service-accounts", json={"name": "nightly build"}))
    wish = {"name": "ci", "scopes": ["inference"], "service_account_id": robot["id"]}
    key = must(shop.owner.http.post(f"{shop.path}/keys", json=wish))["secret"]
    script = Script()
    codex, claude = "codex_exec/0.171.0 (Linux)", "claude-cli/2.1.332 (external, cli)"
    assert call(shop, script, x_cost_center="web", x_opencode_project="4b0ea68d", user_agent=codex).is_success
    assert call(shop, script, x_opencode_project="4b0ea68d", user_agent=claude).is_success
    assert call(shop, script, x_cost_center="web", user_agent="Mystery/1", key=key).is_success
    until(lambda: sum(groups(shop, "project").values()) == 3)
    assert groups(shop, "project") == {"web": 2, "4b0ea68d": 1}
    assert groups(shop, "agent") == {"codex": 1, "claude-code": 1, "": 1}
    assert groups(shop, "caller") == {shop.owner.email: 2, "nightly build": 1}
    assert groups(shop, "agent", project="web") == {"codex": 1, "": 1}
    sheet = shop.owner.http.get(f"{shop.path}/usage/events.csv", params={"project": "web", "agent": "codex"}).text
    assert len(sheet.splitlines()) == 2
    assert ",web,codex," in sheet


def test_the_budget_of_a_project_stops_its_calls_only(shop: Shop) -> None:
    budget = {"scope": "project", "subject_id": "api", "unit": "cost", "period": "day", "limit": 3 * CENT}
    made = must(shop.owner.http.post(f"{shop.path}/budgets", json=budget))
    until(lambda: [each for each in shop.known().budgets if each.subject == "api"])
    script = Script(usage=DEAR)
    answered, refused = until_refused(lambda: call(shop, script, x_cost_center="api"))
    assert (answered, refused.status_code) == (2, 402)  # the third may cost a cent and its prompt
    error = refused.json()["error"]
    assert (error["budget"], error["scope"], error["subject"]) == (made["id"], "project", "api")
    assert "The daily budget of project api is too low for this call" in error["message"]
    assert call(shop, script, x_cost_center="web").is_success
    assert call(shop, script).is_success
    standing = must(shop.owner.http.get(f"{shop.path}/budgets/{made['id']}"))["standing"]
    events = [event for event in shop.events_of(script) if event.project == "api"]
    assert (standing["spent"], standing["reserved"]) == (sum(event.cost for event in events), 0)


def test_a_loop_ends_at_the_budget_of_its_session(shop: Shop) -> None:
    script = Script(usage=DEAR)
    answered, refused = until_refused(lambda: call(shop, script, x_session_id="ses_loop"))
    assert (answered, refused.status_code) == (4, 402)
    assert "retry-after" not in refused.headers
    for format_ in UPSTREAM_OF:
        again = call(shop, script, format_, x_session_id="ses_loop")
        assert again.status_code == 402
        assert "the budget of this session is too low" in again.json()["error"]["message"].lower()
    assert call(shop, script, x_session_id="ses_other").is_success
    assert call(shop, script).is_success


def test_a_session_shows_what_a_dropped_cache_cost(shop: Shop) -> None:
    first = Script(usage=Usage(input=100, cache_write=4000, output=5))
    second = Script(usage=Usage(input=100, cache_write=5000, output=5))  # written again, and nothing read
    for script in (first, second):
        assert call(shop, script, "messages", x_session_id="ses_cached").is_success
    missed = shop.event(second)
    path = f"{shop.path}/usage/sessions/{missed.session}/cache-misses"
    until(lambda: must(shop.owner.http.get(path))["calls"] == 2)
    found = must(shop.owner.http.get(path))
    assert (found["prompt_tokens"], found["cache_read_tokens"], found["lost_tokens"]) == (9200, 0, 4100)
    lost = 4100 * (CENTS_A_MILLION["cache_write"] - CENTS_A_MILLION["cache_read"])
    (miss,) = found["data"]
    assert (miss["call_id"], miss["cause"], miss["cost"], found["lost_cost"]) == (missed.id, "changed", lost, lost)


def test_another_model_serves_where_the_policy_says_so(shop: Shop) -> None:
    script = Script()
    answer = call(shop, script, model="unreachable")
    assert answer.is_success, answer.text
    assert answer.headers["x-opencode-model"] == model_of("chat")
    assert answer.headers["x-opencode-fallback"] == "unavailable"
    event: UsageEvent = shop.event(script)
    assert (event.model, event.requested_model, event.fallback) == (model_of("chat"), "unreachable", "unavailable")
    assert (event.outcome, event.upstream, event.attempts > 1) == ("completed", "chat", True)
    path = f"{shop.path}/usage/events/{event.id}"
    until(lambda: shop.owner.http.get(path).status_code == 200)
    shown = must(shop.owner.http.get(path))
    assert (shown["model"], shown["requested_model"], shown["fallback"]) == (
        model_of("chat"),
        "unreachable",
        "unavailable",
    )
