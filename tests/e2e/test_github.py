"""opencode 1.18.33 as the GitHub agent: it exchanges its token here, and shows our answer to its user."""

import json
from collections.abc import Iterator

import pytest

from local.stack import LocalStack
from tests.github_stand_in import GitHubStandIn, asked_by

from .conftest import MakeHome
from .opencode import Home

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("github")]


@pytest.fixture(scope="module")
def github(stack: LocalStack) -> Iterator[GitHubStandIn]:
    with asked_by(stack) as stand_in:
        stand_in.people["github_pat_1"] = {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True}
        yield stand_in


def run_agent(home: Home, stack: LocalStack, repository: str) -> str:
    """Run the agent on a comment until it fails, and return its output. The agent cannot reach GitHub itself."""
    owner, name = repository.split("/")
    event = {
        "eventName": "issue_comment",
        "repo": {"owner": owner, "repo": name},
        "actor": "somebody",
        "payload": {
            "action": "created",
            "issue": {"number": 1, "title": "A question"},
            "comment": {"id": 1, "body": "/oc answer it"},
            "repository": {"default_branch": "main"},
        },
    }
    environment = {
        "MODEL": "scripted/model",
        "GITHUB_RUN_ID": "1",
        "GITHUB_REPOSITORY": repository,
        "OIDC_BASE_URL": f"{stack.url}/",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    with pytest.raises(AssertionError) as failed:
        home.run("github", "run", "--event", json.dumps(event), "--token", "github_pat_1", environment=environment)
    return str(failed.value)


@pytest.mark.slow
def test_the_agent_gets_a_token_and_goes_on_to_github(
    github: GitHubStandIn, stack: LocalStack, make_home: MakeHome
) -> None:
    said = run_agent(make_home(), stack, "acme/shop")
    assert github.requests[-1][2] == {"repositories": ["shop"]}
    assert "exchange failed" not in said


@pytest.mark.slow
def test_the_agent_tells_its_user_what_is_missing(
    github: GitHubStandIn, stack: LocalStack, make_home: MakeHome
) -> None:
    github.installed.discard("acme/shop")
    try:
        said = run_agent(make_home(), stack, "acme/shop")
    finally:
        github.installed.add("acme/shop")
    assert "App token exchange failed: 401" in said
    assert "has no write access to acme/shop" in said
