"""Attempts at the password of a share: bounded for guessers, and never used up for those who have entered before."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

import msgspec
import pytest

from opencode_cloud.kit.errors import Forbidden, TooManyRequests
from opencode_cloud.kit.rate_counters import Count
from opencode_cloud.sharing.models import Mode, Ownership
from opencode_cloud.sharing.protocol import tickets
from opencode_cloud.sharing.routes.visitors import ticket_cookie
from opencode_cloud.sharing.service.access import (
    ATTEMPTS_OF_ALL,
    ATTEMPTS_OF_BROWSER,
    ATTEMPTS_OF_NETWORK,
    ATTEMPTS_OF_SITE,
    ShareAccess,
)
from tests.unit.aws import Cloud
from tests.unit.sharing.test_owner_panel import SHARE, Desk

PASSWORD = "correct horse"
BEGIN = 1_800_000_010
READER = "198.51.100.1"


class Door(Desk):
    """A share with a password."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.counts: Counter[str] = Counter()
        self.gate = ShareAccess(self.store, cast("Any", self.people))
        self.set_password(PASSWORD)

    def set_password(self, password: str) -> None:
        share = self.store.share(SHARE.id)
        assert share is not None
        changed = msgspec.structs.replace(
            cast("Ownership", share.ownership),
            mode=Mode.PASSWORD,
            password_hash=password,
            ticket_key=tickets.new_key(),
        )
        assert self.store.change(share, changed, None)

    def count(self, what: str, _seconds: int) -> Count:
        self.counts[what] += 1
        return Count(self.counts[what], 50)

    def enter(self, password: str = PASSWORD, address: str = READER, ticket: str = "") -> str:
        return self.gate.unlock(SHARE.id, password, address, ticket)

    def guess(self, addresses: list[str], each: int = ATTEMPTS_OF_NETWORK) -> int:
        """Try wrong passwords from some addresses. Return how many were compared."""
        compared = 0
        for address in addresses * each:
            try:
                self.enter("wrong", address)
            except Forbidden:
                compared += 1
            except TooManyRequests:
                continue
        return compared

    def form(self, password: str, ticket: str = "") -> Any:
        headers = {"x-share-ticket": ticket} if ticket else {}
        return self.app.answer(self._event("POST", "/unlock", f"password={password}", headers), None)

    def read(self, ticket: str) -> int:
        return self.app.answer(self._event("GET", ".json", "", {"x-share-ticket": ticket}), None)["statusCode"]

    def _event(self, method: str, end: str, body: str, headers: dict[str, str]) -> dict[str, Any]:
        path = f"/share/{SHARE.id}{end}"
        form = {"content-type": "application/x-www-form-urlencoded"}
        return {
            "rawPath": path,
            "body": body,
            "queryStringParameters": {},
            "headers": {"host": "cloud.example", **form, **headers},
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": READER},
                "stage": "$default",
                "timeEpoch": BEGIN * 1000,
                "requestId": "r",
            },
        }


@pytest.fixture
def door(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Door:
    # A hash takes 25 ms, and these tests try hundreds of passwords.
    monkeypatch.setattr(tickets, "is_password", lambda password, hashed: password == hashed)
    made = Door(cloud)
    monkeypatch.setattr(made.store, "count", made.count)
    return made


def many_sites(number: int) -> list[str]:
    return [f"10.0.{site}.{host}" for site in range(number) for host in range(3)]


def test_the_bounds_of_a_minute() -> None:
    """Guessers compare at most 432,000 passwords a day. Eight random letters and digits take 9,000 years."""
    assert (ATTEMPTS_OF_NETWORK, ATTEMPTS_OF_SITE, ATTEMPTS_OF_ALL, ATTEMPTS_OF_BROWSER) == (10, 30, 300, 10)


@pytest.mark.parametrize(
    ("addresses", "compared"),
    [
        (["192.0.2.1"], ATTEMPTS_OF_NETWORK),
        ([f"2001:db8:1:2::{host:x}" for host in range(5)], ATTEMPTS_OF_NETWORK),
        ([f"192.0.2.{host}" for host in range(8)], ATTEMPTS_OF_SITE),
        ([f"2001:db8:1:{network:x}::1" for network in range(8)], ATTEMPTS_OF_SITE),
        (many_sites(12), ATTEMPTS_OF_ALL),
    ],
    ids=["an IPv4 address", "an IPv6 /64", "an IPv4 /24", "an IPv6 /48", "all together"],
)
def test_guesses_are_bounded(door: Door, addresses: list[str], compared: int) -> None:
    assert door.guess(addresses) == compared


def test_a_stranger_does_not_use_up_the_attempts_of_others(door: Door) -> None:
    """One customer of a provider has an IPv6 /48, which is 65,536 networks of a /64."""
    door.guess([f"2001:db8:1:{network:x}::1" for network in range(100)])
    assert door.enter()


def test_a_browser_that_has_entered_reads_and_enters_again_while_strangers_use_up_all_attempts(door: Door) -> None:
    ticket = door.enter()
    door.guess(many_sites(12))
    with pytest.raises(TooManyRequests):
        door.enter()
    assert door.read(ticket) == 200
    assert door.enter(ticket=ticket)


def test_the_ticket_of_an_earlier_day_counts_as_an_entry_but_opens_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = door.enter()
    monkeypatch.setattr(tickets, "now_seconds", lambda: BEGIN + 10 * tickets.UNLOCK_SECONDS * 10_000)
    door.guess(many_sites(12))
    assert door.read(ticket) == 401
    assert door.enter(ticket=ticket)


def test_a_browser_keeps_its_ticket_longer_than_the_ticket_opens_the_share(door: Door) -> None:
    answer = door.form(PASSWORD.replace(" ", "+"))
    assert answer["statusCode"] == 303
    cookie = json.dumps(answer)
    assert ticket_cookie(SHARE.id) in cookie
    assert f"Max-Age={tickets.REMEMBERED_SECONDS}" in cookie
    assert tickets.REMEMBERED_SECONDS > tickets.UNLOCK_SECONDS


def test_a_form_sends_the_earlier_ticket(door: Door) -> None:
    ticket = door.enter()
    door.guess(many_sites(12))
    assert door.form(PASSWORD.replace(" ", "+"))["statusCode"] == 429
    assert door.form(PASSWORD.replace(" ", "+"), ticket)["statusCode"] == 303


def test_a_ticket_gives_no_further_guesses(door: Door) -> None:
    """A ticket of an older password, of a member, or made up counts as none. A valid one has its own bound."""
    old = door.enter()
    door.set_password("another password")
    share = door.store.share(SHARE.id)
    assert share is not None
    assert share.ownership is not None
    of_member = tickets.write(share.ownership.ticket_key, SHARE.id, "ses_1")
    door.guess([READER])
    for ticket in (old, of_member, "made up"):
        with pytest.raises(TooManyRequests):
            door.enter("another password", ticket=ticket)
    entered = door.enter("another password", "203.0.113.1")
    for spelling in [entered, f"{entered}="] * (ATTEMPTS_OF_BROWSER // 2):
        with pytest.raises(Forbidden):
            door.enter("wrong", ticket=spelling)
    with pytest.raises(TooManyRequests):
        door.enter("another password", ticket=f"{entered}=")
