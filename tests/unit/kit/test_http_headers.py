"""Headers that identify a client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.http_headers import bearer_of, client_address


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


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ("", "peer"),
        (" , ", "peer"),
        ("198.51.100.1", "198.51.100.1"),
        ("198.51.100.1, 10.0.0.1", "198.51.100.1"),
        ("made up, 198.51.100.1,10.0.0.1", "198.51.100.1"),
    ],
)
def test_the_client_is_the_last_hop_but_one(forwarded_for: str, address: str) -> None:
    assert client_address(forwarded_for, "peer") == address


@given(st.text())
def test_no_header_of_a_client_changes_the_address_that_the_edge_appends(sent: str) -> None:
    assert client_address(f"{sent}, 198.51.100.1, 10.0.0.1", "peer") == "198.51.100.1"
