"""The overview: first steps tick themselves, and full budgets and refusals are seen at once."""

from __future__ import annotations

import re

import pytest

from opencode_cloud.contracts.permissions import Role
from opencode_cloud.keys.models import CheckResult
from opencode_cloud.keys.store import ProviderClient
from opencode_cloud.kit.clock import utc_now
from tests.unit.console.office import Office
from tests.unit.console.test_calls import REASON, refuse
from tests.unit.usage.events import entry


def left(office: Office) -> list[str]:
    """Return the first steps that are not done."""
    return re.findall(
        r'<a href="[^"]+"><b>([^<]+)</b></a><br>', office.browser(Role.OWNER).open(office.base).answer.text
    )


def test_first_steps_tick_themselves_until_all_are_done(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProviderClient, "check", lambda *_: CheckResult.WORKS)
    office.fill()
    browser = office.browser(Role.OWNER)
    assert left(office) == ["Connect a client", "Add a key of a model provider", "Set a budget", "Share a session"]
    owner = office.acting(office.owner)
    office.ingest([entry(1, workspace_id=office.workspace, at=int(utc_now().timestamp() * 1000), member_id=owner.id)])
    providers, budgets = f"{office.base}/providers", f"{office.base}/budgets"
    browser.submit(browser.open(providers), providers, provider="openai", secret="sk-0123456789abcdefgh")
    browser.submit(browser.open(budgets), budgets, subject="workspace:", limit="5", unit="cost", period="month")
    assert left(office) == ["Share a session"]


def test_full_budgets_and_refusals_are_on_the_overview(office: Office) -> None:
    browser, budgets = office.browser(Role.ADMIN), f"{office.base}/budgets"
    browser.submit(browser.open(budgets), budgets, subject="workspace:", limit="0", unit="cost", period="month")
    refuse(office, office.acting(office.people[Role.MEMBER]))
    page = browser.open(office.base)
    assert "used up: calls are refused" in page.text
    assert REASON in page.text


def test_others_get_no_first_steps_and_only_their_own_refusals(office: Office) -> None:
    refuse(office, office.acting(office.people[Role.ADMIN]), "secret-model")
    page = office.browser(Role.VIEWER).open(office.base)
    assert "First steps" not in page.text
    assert "secret-model" not in page.text
