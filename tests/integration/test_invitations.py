"""Invitations from the mail to the workspace: the mailed link, its page, its forms."""

import re

import httpx
import pytest

from local.stack import LocalStack
from tests.integration.people import People, Person
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def people(stack: LocalStack) -> People:
    return People(stack)


@pytest.fixture
def owner(people: People) -> Person:
    return people.somebody()


def link_of(stack: LocalStack, email: str) -> str:
    """Return the path of the link in the first invitation mail to ``email``."""
    mail = stack.mailbox.wait(email, where=lambda each: "/invitations/" in each.text)
    found = re.search(r"/invitations/[\w-]+", mail.text)
    assert found
    return found[0]


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="token" value="([\w-]+)">\s*<(?:button|a) class="(?:button )?main"', page.text)
    assert found, page.text
    return found[1]


def invite(owner: Person, workspace: str, email: str) -> str:
    made = owner.http.post(f"/api/v1/workspaces/{workspace}/invitations", json={"email": email, "role": "member"})
    assert made.status_code == 201, made.text
    return made.json()["id"]


def test_the_mailed_link_leads_into_the_workspace(stack: LocalStack, people: People, owner: Person) -> None:
    workspace, bob = owner.found("Acme & Sons <b>"), people.somebody()
    invitation = invite(owner, workspace, bob.email)
    link = link_of(stack, bob.email)
    page = bob.http.get(link)
    assert page.status_code == 200
    assert "Acme &amp; Sons &lt;b&gt;" in page.text
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    answered = bob.http.post(link, data={"token": form_token(page), "decision": "accept"})
    assert answered.status_code == 303
    assert bob.http.get(f"/api/v1/workspaces/{workspace}").status_code == 200
    assert "accepted" in bob.http.get(link).text
    shown = owner.http.get(f"/api/v1/workspaces/{workspace}/invitations/{invitation}").json()
    assert (shown["state"], shown["delivery"] in {"sent", "delivered"}) == ("accepted", True)


def test_opening_a_link_changes_nothing(stack: LocalStack, people: People, owner: Person) -> None:
    workspace, bob = owner.found(), people.somebody()
    invitation = invite(owner, workspace, bob.email)
    link = link_of(stack, bob.email)
    for client in (bob.http, httpx.Client(base_url=stack.url, timeout=PATIENCE)):
        assert client.get(link).status_code == 200
        assert client.head(link).status_code == 200
    shown = owner.http.get(f"/api/v1/workspaces/{workspace}/invitations/{invitation}").json()
    assert shown["state"] == "pending"


def test_who_is_not_signed_in_may_decline_and_is_sent_to_sign_in(
    stack: LocalStack, people: People, owner: Person
) -> None:
    workspace, email = owner.found(), people.somebody().email
    invitation = invite(owner, workspace, email)
    link = link_of(stack, email)
    with httpx.Client(base_url=stack.url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=PATIENCE) as stranger:
        page = stranger.get(link)
        assert "/login?continue=%2Finvitations%2F" in page.text
        token = form_token(page)
        sent = stranger.post(link, data={"token": token, "decision": "accept"})
        assert (sent.status_code, sent.headers["location"].startswith("/login?continue=")) == (303, True)
        assert stranger.post(link, data={"token": "forged", "decision": "decline"}).status_code == 403
        foreign = {"Sec-Fetch-Site": "cross-site"}
        assert stranger.post(link, data={"token": token, "decision": "decline"}, headers=foreign).status_code == 403
        declined = stranger.post(link, data={"token": token, "decision": "decline"})
        assert "declined" in declined.text
    shown = owner.http.get(f"/api/v1/workspaces/{workspace}/invitations/{invitation}").json()
    assert shown["state"] == "declined"


def test_a_link_in_wrong_hands_lets_nobody_in(stack: LocalStack, people: People, owner: Person) -> None:
    workspace, bob, eve = owner.found(), people.somebody(), people.somebody()
    invite(owner, workspace, bob.email)
    link = link_of(stack, bob.email)
    page = eve.http.get(link)
    assert "is for <b>" in page.text
    assert 'value="accept"' not in page.text
    assert eve.http.post(link, data={"token": "x", "decision": "accept"}).status_code == 403
    assert eve.http.get(f"/api/v1/workspaces/{workspace}").status_code == 404


def test_withdrawn_and_unknown_links_say_so(stack: LocalStack, people: People, owner: Person) -> None:
    workspace, bob = owner.found(), people.somebody()
    invitation = invite(owner, workspace, bob.email)
    link = link_of(stack, bob.email)
    assert owner.http.delete(f"/api/v1/workspaces/{workspace}/invitations/{invitation}").status_code == 204
    page = bob.http.get(link)
    assert "revoked" in page.text
    assert 'value="accept"' not in page.text
    assert bob.http.get("/invitations/unknown").status_code == 404
    assert bob.http.get(f"/api/v1/workspaces/{workspace}").status_code == 404


def test_ones_own_invitations_are_a_page(people: People, owner: Person) -> None:
    workspace, bob = owner.found("Somewhere"), people.somebody()
    invitation = invite(owner, workspace, bob.email)
    assert "Somewhere" in bob.http.get("/invitations").text
    page = bob.http.get(f"/invitations/{invitation}")
    answered = bob.http.post(f"/invitations/{invitation}", data={"token": form_token(page), "decision": "accept"})
    assert answered.status_code == 303
    assert bob.http.get(f"/api/v1/workspaces/{workspace}").status_code == 200
    eve = people.somebody()
    assert eve.http.get(f"/invitations/{invitation}").status_code == 404
    assert "Somewhere" not in eve.http.get("/invitations").text
