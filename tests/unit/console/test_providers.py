"""Providers in the console: a key is added, tested, replaced and removed, and never shown."""

from __future__ import annotations

import pytest

from opencode_cloud.console import providers
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.keys.models import CheckResult, Provider
from opencode_cloud.keys.store import ProviderClient
from tests.unit.console.office import Office

KEY = "sk-0123456789abcdefghijklmnop"


@pytest.fixture(autouse=True)
def provider(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every key be tested, and return the tested ones; keys that end in `x` are refused."""
    tested: list[str] = []

    def check(_self: object, _provider: object, _base: object, secret: str) -> CheckResult:
        tested.append(secret)
        return CheckResult.REFUSED if secret.endswith("x") else CheckResult.WORKS

    monkeypatch.setattr(ProviderClient, "check", check)
    return tested


def test_a_key_is_added_tested_replaced_and_removed(office: Office, provider: list[str]) -> None:
    browser, action = office.browser(Role.ADMIN), f"{office.base}/providers"
    page = browser.open(action)
    assert "No key yet" in page.text
    added = browser.submit(page, action, provider="anthropic", name="", secret=KEY, base_url="")
    assert ("works" in added.text, KEY in added.answer.text) == (True, False)
    [test] = [form for form in added.forms if form.endswith("/test")]
    assert "Key tested" in browser.submit(added, test).text
    one = test.removesuffix("/test")
    replaced = browser.submit(browser.open(one), one, secret=f"{KEY}x")
    assert "refused by the provider" in replaced.text
    assert provider == [KEY, KEY, f"{KEY}x"]
    asked = browser.open(f"{one}/remove")
    assert "Remove the key of Anthropic?" in asked.text
    assert "No key yet" in browser.submit(asked, f"{one}/remove").text


def test_what_is_wrong_is_said_and_the_key_is_not_sent_back(office: Office, provider: list[str]) -> None:
    browser, action = office.browser(Role.OWNER), f"{office.base}/providers"
    wrong = browser.submit(browser.open(action), action, provider="openai-compatible", secret=f"{KEY} {KEY}")
    assert (wrong.status, "without blanks" in wrong.text) == (422, True)
    assert KEY not in wrong.answer.text
    without = browser.submit(browser.open(action), action, provider="openai-compatible", secret=KEY)
    assert (without.status, "needs one" in without.text) == (422, True)
    assert provider == []


def test_a_search_finds_keys_by_provider_name_or_last_characters_and_is_kept_on_the_next_page(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, workspace, create = office.acting(office.owner), office.workspace, office.team.credentials.create
    first = create(actor, workspace, Provider.ANTHROPIC, "default", f"{KEY}1", None)
    second = create(actor, workspace, Provider.ANTHROPIC, "team & research", f"{KEY}2", None)
    other = create(actor, workspace, Provider.OPENAI, "default", f"{KEY}3", None)
    browser, page = office.browser(Role.ADMIN), f"{office.base}/providers"

    def found(path: str) -> list[str]:
        return [link.split("/")[-2] for link in browser.open(path).links if link.endswith("/remove")]

    assert found(page) == [first.id, second.id, other.id]
    assert found(f"{page}?search=ANTHROPIC") == [first.id, second.id]
    assert found(f"{page}?search=m+%26+r") == [second.id]
    assert found(f"{page}?search={KEY[-3:]}3") == [other.id]
    assert "No key matches “nothing”." in browser.open(f"{page}?search=nothing").text
    monkeypatch.setattr(providers, "DEFAULT_LIMIT", 1)
    [more] = [link for link in browser.open(f"{page}?search=anthropic").links if "cursor=" in link]
    assert found(more) == [second.id]
    assert "More keys" not in browser.open(more).text


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER, Role.BILLING])
def test_other_roles_do_not_see_the_page(office: Office, role: Role) -> None:
    assert office.browser(role).open(f"{office.base}/providers").status == 403
