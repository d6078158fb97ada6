"""Forms of secrets in a policy: what a pattern may be, and what the planes enforce."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from opencode_cloud.contracts.access import EnforcedPolicy, RedactionPattern
from opencode_cloud.policies.compilation import enforced
from opencode_cloud.policies.models import Policy


def policy(**share: object) -> Policy:
    return Policy.model_validate({"share": share})


def test_secrets_are_replaced_by_default() -> None:
    assert enforced(Policy(), 0).share_redaction == "on"
    assert EnforcedPolicy().share_redaction == "on"


def test_the_planes_get_mode_and_patterns() -> None:
    given = policy(redaction="report", patterns=[{"name": "customer-id", "pattern": "kunde-[0-9]{8}"}])
    compiled = enforced(given, 1)
    assert compiled.share_redaction == "report"
    assert compiled.share_patterns == (RedactionPattern("customer-id", "kunde-[0-9]{8}"),)


@pytest.mark.parametrize(
    ("name", "pattern", "reason"),
    [
        ("a", "(", "RE2 does not take this pattern: missing"),
        ("a", "(?=x)y", "RE2 does not take this pattern: invalid perl operator"),
        ("a", r"(x)\1", "RE2 does not take this pattern: invalid escape"),
        ("a", "x*", "it matches the empty text"),
        ("a", "((x{900}){900})", "RE2 does not take this pattern"),
        ("a", "x" * 301, "at most 300 characters"),
        ("A b", "xxxxxx", "should match pattern"),
        ("a" * 41, "xxxxxx", "at most 40 characters"),
    ],
)
def test_a_pattern_that_cannot_be_searched_is_refused_with_a_reason(name: str, pattern: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        policy(patterns=[{"name": name, "pattern": pattern}])


def test_the_number_of_patterns_has_a_bound() -> None:
    with pytest.raises(ValidationError, match="at most 20 items"):
        policy(patterns=[{"name": "a", "pattern": "xxxxxx"}] * 21)
