"""The network that counts as one caller."""

from __future__ import annotations

import pytest

from opencode_cloud.kit.networks import network_of, site_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
        ("a host", "unknown"),
    ],
)
def test_an_ipv4_address_counts_alone_and_an_ipv6_address_with_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("192.0.2.1", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("a host", "unknown"),
    ],
)
def test_the_addresses_of_a_site_count_together(address: str, site: str) -> None:
    assert site_of(address) == site
