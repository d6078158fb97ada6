"""Manage a workspace in a real browser, without scripts."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from local.stack import LocalStack
from opencode_cloud.contracts.permissions import Role
from tests.integration.people import People, Person
from tests.waiting import until

from .browser import headless_chromium

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with headless_chromium() as browser:
        yield browser


def at_browser(chromium: Any, stack: LocalStack, person: Person) -> Any:
    context = chromium.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "opencode_session", "value": person.cookie, "url": stack.url}])
    return context.new_page()


def test_an_admin_invites_and_removes_a_person_by_clicking(chromium: Any, stack: LocalStack) -> None:
    people = People(stack)
    owner = people.somebody()
    workspace = owner.found("Clicked")
    admin = people.joined(owner, workspace, Role.ADMIN)
    bob = people.somebody(f"bob-{secrets.token_hex(4)}@example.com")

    page = at_browser(chromium, stack, admin)
    page.goto(f"{stack.url}/console")
    page.get_by_role("navigation", name="Workspace").get_by_role("link", name="Members").click()
    page.get_by_label("E-mail addresses").fill(bob.email)
    page.get_by_role("button", name="Invite").click()
    assert page.get_by_role("status").inner_text() == "Invitation sent."

    theirs = at_browser(chromium, stack, bob)
    theirs.goto(f"{stack.url}/invitations")
    theirs.get_by_role("link", name="Clicked").click()
    theirs.get_by_role("button", name="Join Clicked").click()
    theirs.goto(f"{stack.url}/console/{workspace}/members")
    assert theirs.get_by_text(admin.email).count()
    assert not theirs.get_by_role("link", name="Remove").count()
    assert not theirs.get_by_role("button", name="Invite").count()
    theirs.goto(f"{stack.url}/console/{workspace}/keys")
    theirs.get_by_label("Name").fill("laptop")
    theirs.get_by_role("button", name="Create key").click()
    key = theirs.get_by_label("The key", exact=True).input_value()
    client = people.with_key(key)
    assert client.get("/api/config").status_code != 401

    page.goto(f"{stack.url}/console/{workspace}/members")
    page.get_by_role("link", name=f"Remove {bob.email}").click()
    assert "revoked, for good" in page.get_by_role("main").inner_text()
    page.get_by_role("button", name=f"Remove {bob.email}").click()
    assert page.get_by_role("status").inner_text().startswith("Member removed.")
    until(lambda: client.get("/api/config").status_code == 401)
    assert theirs.goto(f"{stack.url}/console/{workspace}").status == 404
