"""Limits of keys: canonical form, and comparison."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.keys.limits import checked, contains, covers, wider
from opencode_cloud.keys.models import KeyLimits
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError

patterns = st.text(alphabet="ab/*", min_size=1, max_size=6)
names = st.text(alphabet="ab/", min_size=1, max_size=8)


@given(wide=patterns, narrow=patterns, name=names)
def test_what_a_covered_pattern_matches_the_covering_one_matches_too(wide: str, narrow: str, name: str) -> None:
    if covers(wide, narrow) and fnmatchcase(name, narrow):
        assert fnmatchcase(name, wide)


@given(pattern=patterns)
def test_a_pattern_covers_itself_and_a_star_covers_all(pattern: str) -> None:
    assert covers(pattern, pattern)
    assert covers("*", pattern)


@pytest.mark.parametrize(
    ("wide", "narrow", "within"),
    [
        ("anthropic/*", "anthropic/claude-*", True),
        ("anthropic/*", "anthropic/claude-4", True),
        ("anthropic/claude-*", "anthropic/*", False),
        ("anthropic/claude-4", "anthropic/claude-*", False),
        ("*", "openai/gpt", True),
    ],
)
def test_patterns_within_patterns(wide: str, narrow: str, within: bool) -> None:
    assert covers(wide, narrow) is within


@pytest.mark.parametrize(
    ("wide", "narrow", "within"),
    [
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.1.0.0/16", "10.0.0.0/8", False),
        ("2001:db8::/32", "2001:db8:1::/48", True),
        ("0.0.0.0/0", "2001:db8::/32", False),
        ("::/0", "10.0.0.0/8", False),
    ],
)
def test_networks_within_networks(wide: str, narrow: str, within: bool) -> None:
    assert contains(wide, narrow) is within


@pytest.mark.parametrize(
    ("models", "networks"),
    [
        ([], None),
        (None, []),
        (["has space"], None),
        (["a?b"], None),
        (None, ["10.0.0.1/8"]),
        (None, ["nonsense"]),
        (None, ["10.0.0.0/33"]),
    ],
)
def test_limits_that_make_no_sense_are_refused(models: list[str] | None, networks: list[str] | None) -> None:
    with pytest.raises(ServiceError) as caught:
        checked([KeyScope.INFERENCE], models, networks, None, utc_now())
    assert caught.value.code == "invalid_limit"


def test_no_limit_is_wider_than_any() -> None:
    bound = KeyLimits(
        scopes=frozenset({KeyScope.INFERENCE}), models=("a/*",), networks=("10.0.0.0/8",), expires_at=utc_now()
    )
    scopes = frozenset({KeyScope.INFERENCE})
    assert wider(KeyLimits(scopes=scopes), bound) == "models"
    assert wider(KeyLimits(scopes=scopes, models=("a/b",)), bound) == "networks"
    assert wider(KeyLimits(scopes=scopes, models=("a/b",), networks=("10.0.0.0/9",)), bound) == "expires_at"
    assert wider(bound, bound) is None
    assert wider(KeyLimits(scopes=frozenset(KeyScope)), KeyLimits(scopes=scopes)) == "scopes"
