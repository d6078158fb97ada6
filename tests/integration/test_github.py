"""The deployed function `github`, pointed to a stand-in for GitHub by settings and secret, as an operator does it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.github_stand_in import GitHubStandIn, asked_by
from tests.waiting import PATIENCE, in_one_window

pytestmark = pytest.mark.xdist_group("github")

EXCHANGE = "/exchange_github_app_token"
PERSONAL = "/exchange_github_app_token_with_pat"
INSTALLATION = "/get_github_app_installation"
SHOP = {"owner": "acme", "repo": "shop"}


@pytest.fixture(scope="module")
def github(stack: Any) -> Iterator[GitHubStandIn]:
    """Run a GitHub that knows the deployment's App, and a person with write access."""
    with asked_by(stack) as stand_in:
        stand_in.people["github_pat_1"] = {
            "admin": False,
            "maintain": False,
            "push": True,
            "triage": True,
            "pull": True,
        }
        yield stand_in


def test_without_a_token_it_says_what_is_missing(stack: Any) -> None:
    answer = httpx.post(stack.url + EXCHANGE, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["error"]) == (401, "Authorization header is required")


def test_a_workflow_and_a_person_get_tokens(stack: Any, github: GitHubStandIn) -> None:
    workflow = httpx.post(
        stack.url + EXCHANGE, headers={"authorization": f"Bearer {github.identity_token()}"}, timeout=PATIENCE
    )
    assert workflow.status_code == 200, workflow.text
    assert workflow.json() == {"token": github.tokens[-1]}
    person = httpx.post(
        stack.url + PERSONAL,
        headers={"authorization": "Bearer github_pat_1"},
        content=b'{"owner":"acme","repo":"shop"}',
        timeout=PATIENCE,
    )
    assert (person.status_code, person.json()) == (200, {"token": github.tokens[-1]})
    assert len(github.tokens) == 2


def test_the_installation_is_found(stack: Any, github: GitHubStandIn) -> None:
    found = httpx.get(stack.url + INSTALLATION, params=SHOP, timeout=PATIENCE)
    assert found.json()["installation"]["id"] == 99
    assert httpx.get(stack.url + INSTALLATION, params={"owner": "acme", "repo": "bank"}, timeout=PATIENCE).json() == {}


def test_whoever_asks_too_often_must_wait(stack: Any, github: GitHubStandIn) -> None:
    """Use a separate IP address, so that no other test is refused."""
    before = len(github.requests)
    own = httpx.HTTPTransport(local_address=f"127.0.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}")
    with httpx.Client(base_url=stack.url, transport=own, timeout=PATIENCE) as client:
        answers = in_one_window(lambda: [client.get(INSTALLATION, params={"owner": "acme"}) for _ in range(122)])
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "rate_limited"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert len(github.requests) == before
