"""The demo has something to look at on every page, and its books agree."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from local import demo_life, demo_shares
from local.demo_life import DemoLife
from opencode_cloud.contracts.budgets import BudgetScope
from opencode_cloud.contracts.permissions import Role
from tests.unit.console.office import Office


@pytest.fixture
def demo(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(demo_life, "CALLS", 400)
    owner = office.acting(office.owner)
    members = [office.acting(office.people[role]) for role in (Role.OWNER, Role.ADMIN, Role.MEMBER)]
    ids = [each.id for each in members]
    DemoLife(office.plane, office.team, office.budgets, "budgets", owner, ids).write()  # pyright: ignore[reportArgumentType]
    return office


def test_the_key_of_the_demo_can_share_its_sessions(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_life, "CALLS", 1)
    owner = office.acting(office.owner)
    life = DemoLife(office.plane, office.team, office.budgets, "budgets", owner, [owner.id])  # pyright: ignore[reportArgumentType]
    key = life.write()
    posted: list[str] = []

    def post(url: str, used: str, body: dict[str, Any]) -> Any:
        posted.append(url)
        return office.send(used, urlsplit(url).path, body)

    monkeypatch.setattr(demo_shares, "_post", post)
    links = demo_shares.publish("https://cloud.example", key)
    page = office.browser(Role.OWNER).open(f"{office.base}/shares")
    assert all(title in page.text for title in demo_shares.CONVERSATIONS)
    assert len(posted) == 2 * len(links) == 2 * len(demo_shares.CONVERSATIONS)


@pytest.mark.parametrize("minutes", [0, 20, 60 * 24, 60 * 24 * 15])
def test_a_month_that_has_just_begun_has_calls(minutes: int) -> None:
    month = datetime(2026, 12, 1, tzinfo=UTC)
    now, pick = month + timedelta(minutes=minutes), random.Random(7)
    arrivals = [demo_life.arrival(pick, now) for _ in range(400)]
    assert sum(month <= each <= now for each in arrivals) > 20
    assert all(now - timedelta(days=demo_life.DAYS) <= each <= now for each in arrivals)


def test_every_page_has_something_to_look_at(demo: Office) -> None:
    browser = demo.browser(Role.OWNER)
    for path in ("", "/usage", "/calls", "/budgets", "/groups", "/keys", "/audit"):
        page = browser.open(demo.base + path)
        assert page.status == 200
        assert 'class="empty"' not in page.answer.text, path
    assert "ci-runner" in browser.open(f"{demo.base}/usage?by=caller").text
    assert "Monthly budget of group Platform" in browser.open(f"{demo.base}/budgets").text
    member = demo.acting(demo.people[Role.ADMIN])
    limits = browser.open(f"{demo.base}/members/{member.id}").text
    assert "Monthly budget of each member of group Research" in limits
    for agent in ("opencode", "claude-code", "codex"):
        assert agent in browser.open(f"{demo.base}/usage?by=agent").text
    assert "budget_exhausted" in browser.open(f"{demo.base}/calls?show=refused").text


def test_budgets_are_filled_by_the_calls_of_this_month(demo: Office) -> None:
    standings = {each.scope: each.standing for each in demo.plane_budgets()}
    whole = standings[BudgetScope.WORKSPACE]
    assert whole is not None
    assert whole.spent > 0
    page = demo.browser(Role.OWNER).open(f"{demo.base}/usage")
    assert f"${whole.spent // 10**8:,}." in page.text
