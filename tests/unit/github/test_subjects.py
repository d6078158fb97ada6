"""The repository of a token: both forms of the subject, and forbidden forms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.github.models import Repository
from opencode_cloud.github.subjects import repository_of

OWNERS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True).filter(lambda name: name not in (".", ".."))
IDS = st.integers(1, 2**53)


@given(OWNERS, NAMES, IDS, IDS, st.sampled_from(["ref:refs/heads/a:b", "environment:x", "pull_request"]))
def test_both_forms_of_the_subject_name_the_repository(owner: str, name: str, one: int, two: int, rest: str) -> None:
    for subject in (f"repo:{owner}/{name}:{rest}", f"repo:{owner}@{one}/{name}@{two}:{rest}"):
        assert repository_of({"sub": subject}) == Repository(owner, name)


def test_an_owner_may_have_chosen_another_form_of_subject() -> None:
    claims = {"sub": "job_workflow_ref:acme/flows/.github/workflows/x.yml@main", "repository": "acme/shop"}
    assert repository_of(claims) == Repository("acme", "shop")
    assert repository_of({"sub": claims["sub"]}) is None


def test_subject_and_repository_must_agree() -> None:
    assert repository_of({"sub": "repo:acme/shop:x", "repository": "acme/bank"}) is None
    assert repository_of({"sub": "repo:Acme@1/Shop@2:x", "repository": "acme/shop"}) == Repository("Acme", "Shop")


@pytest.mark.parametrize(
    "subject",
    [
        *("", "repo:", "repo:acme", "repo:acme/", "repo:/shop:x", "repo:acme/../x:y", "repo:acme/..:x", "repo:a/b/c:x"),
        *("repo:acme/shop%2f:x", "repo:acme/sh op:x", "repo:acme?/shop:x", "repo:@1/shop@2:x", "REPO:acme/shop:x"),
    ],
)
def test_what_is_no_repository_is_none(subject: str) -> None:
    assert repository_of({"sub": subject}) is None


@given(st.dictionaries(st.sampled_from(["sub", "repository"]), st.text() | st.integers() | st.none()))
def test_whatever_it_says_only_names_come_out(claims: dict[str, Any]) -> None:
    found = repository_of(claims)
    assert found is None or Repository.parse(found.owner, found.name) == found
