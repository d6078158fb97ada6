"""Sign-in codes are limited so that no stranger locks a person out, and no mailbox is flooded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from opencode_cloud.identity.pages import MAILS, MAILS_BY_ASKER, IdentityPages
from opencode_cloud.identity.service.challenges import Challenges
from opencode_cloud.identity.store.codes import CodesStore
from opencode_cloud.kit.errors import TooManyRequests
from opencode_cloud.kit.networks import network_of
from opencode_cloud.kit.rate_limits import RateLimiter
from tests.unit.aws import Cloud

ADA = "ada@example.com"
HOME = "198.51.100.7"


class Door:
    """The limits of the page that mails codes."""

    def __init__(self, table: str) -> None:
        unused: Any = None
        self.challenges = Challenges(unused, CodesStore(table), unused, lambda: "key")
        services: Any = SimpleNamespace(limiter=RateLimiter(table), challenges=self.challenges)
        self._pages = IdentityPages(services)

    def admits(self, email: str, network: str) -> bool:
        try:
            self._pages._limit_mails(email, network)
        except TooManyRequests:
            return False
        return True


@pytest.fixture
def door(cloud: Cloud) -> Door:
    return Door(cloud.table("sessions"))


def test_a_stranger_uses_up_only_their_own_codes(door: Door) -> None:
    asked = [door.admits(ADA, "192.0.2.1") for _ in range(MAILS_BY_ASKER.requests + 2)]
    assert asked == [True] * MAILS_BY_ASKER.requests + [False] * 2
    assert door.admits(ADA, HOME)


def test_there_is_a_cap_on_mails_to_an_address_but_for_a_network_of_an_earlier_sign_in(door: Door) -> None:
    door.challenges.note_network(ADA, HOME)
    door.challenges.note_network(ADA, HOME)
    for stranger in range(MAILS.requests):
        assert door.admits(ADA, f"192.0.2.{stranger}")
    assert not door.admits(ADA, "192.0.2.200")
    assert door.admits(ADA, HOME)
    assert door.admits("bob@example.com", "192.0.2.200")


def test_a_network_is_known_for_one_person_only(door: Door) -> None:
    door.challenges.note_network(ADA, HOME)
    assert door.challenges.is_known(ADA, HOME)
    assert door.challenges.is_known("ADA@Example.com", HOME)
    assert not door.challenges.is_known("bob@example.com", HOME)
    assert not door.challenges.is_known(ADA, "192.0.2.1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unknown"),
        ("made up", "unknown"),
    ],
)
def test_an_ipv6_network_is_one_caller(address: str, network: str) -> None:
    assert network_of(address) == network
