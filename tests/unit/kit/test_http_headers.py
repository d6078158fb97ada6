"""Headers that identify a client."""

from __future__ import annotations

import pytest

from opencode_cloud.kit.http_headers import bearer_of


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   abc ", "abc"),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("Basic abc", ""),
        ("abc", ""),
        ("", ""),
    ],
)
def test_only_a_bearer_has_a_token(header: str, token: str) -> None:
    assert bearer_of(header) == token
