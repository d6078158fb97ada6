"""Viewers elsewhere are told of each record: with few looks at them, and none is missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from opencode_cloud.contracts.ids import ConnectionId
from opencode_cloud.kit import log
from opencode_cloud.kit.dynamodb.errors import store_unavailable
from opencode_cloud.sharing.hub import announcing
from opencode_cloud.sharing.hub.announcing import Announcing
from opencode_cloud.sharing.models import Mode, Position, Protocol, Record, Share, Viewer
from opencode_cloud.sharing.service.fan_out import INLINE_VIEWERS
from opencode_cloud.sharing.service.group_publishing import Announcement
from opencode_cloud.sharing.store import Head
from tests.unit.sharing.test_hub_delivery import ADDRESS, record, share
from tests.waiting import until_async

LONG = 60.0
"""Seconds between looks in a test that must not see a second one."""


class Elsewhere:
    """The viewers that other processes hold, and what they were told."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.viewers: list[Viewer] = []
        self.told: list[tuple[str, int]] = []
        self.looks = 0
        self.broken = False
        delivery = SimpleNamespace(address=ADDRESS, deliver=lambda *_: None)
        fan_out = SimpleNamespace(push=self._push)
        hubs = SimpleNamespace(push=lambda _share, _record, viewers, *_: viewers)
        tasks = SimpleNamespace(push=lambda _share, first, viewers: self.queued.append((first, len(viewers))))
        later = [cast("Any", each) for each in (fan_out, hubs, tasks)]
        self.queued: list[tuple[int, int]] = []
        self.announcing = Announcing(
            cast("Any", delivery), self._look, cast("Any", None), later[0], later[1], later[2], threads
        )

    def join(self, name: str) -> None:
        self.viewers.append(Viewer(ConnectionId(name), Protocol.LIVE))

    def commit(self, seq: int) -> None:
        self.announcing.announce(Announcement(share(), record(seq), frozenset(), Mode.LINK))

    def _look(self, _: object) -> Head:
        self.looks += 1
        if self.broken:
            raise store_unavailable()
        return Head(share(), (), tuple(self.viewers), Position())

    def _push(self, _share: Share, sent: Record, viewers: Sequence[Viewer], *_: object) -> None:
        self.told += [(viewer.connection_id, sent.first) for viewer in viewers]


@pytest.fixture
def elsewhere() -> Any:
    with ThreadPoolExecutor(1) as threads:
        yield Elsewhere(threads)


async def test_viewers_are_looked_at_once_for_the_records_of_a_short_time(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "LOOK_SECONDS", LONG)
    elsewhere.join("a")
    for seq in (1, 2, 3):
        elsewhere.commit(seq)
        await until_async(lambda seq=seq: ("a", seq) in elsewhere.told)
    assert elsewhere.looks == 1


async def test_a_viewer_that_joined_after_the_look_is_told_by_the_next_one(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "LOOK_SECONDS", 0.05)
    elsewhere.commit(1)
    await until_async(lambda: elsewhere.looks == 1)
    elsewhere.join("late")
    elsewhere.commit(2)
    await until_async(lambda: ("late", 2) in elsewhere.told)


async def test_a_process_that_stops_tells_all_before(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "LOOK_SECONDS", LONG)
    elsewhere.join("a")
    elsewhere.commit(1)
    await until_async(lambda: ("a", 1) in elsewhere.told)
    elsewhere.join("late")
    elsewhere.commit(2)
    async with asyncio.timeout(LONG / 2):
        await elsewhere.announcing.settle()
    assert {("a", 2), ("late", 2)} <= set(elsewhere.told)


async def test_records_that_cannot_be_pushed_are_counted_and_later_ones_are_pushed(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(log, "count", lambda name, _value=1: counted.append(name))
    elsewhere.join("a")
    elsewhere.broken = True
    elsewhere.commit(1)
    await until_async(lambda: counted == ["FailedPostCount"])
    elsewhere.broken = False
    elsewhere.commit(2)
    await until_async(lambda: elsewhere.told == [("a", 2)])
    await elsewhere.announcing.settle()


async def test_a_process_that_stops_does_not_wait_for_a_store_that_fails(elsewhere: Elsewhere) -> None:
    elsewhere.broken = True
    elsewhere.commit(1)
    async with asyncio.timeout(LONG / 2):
        await elsewhere.announcing.settle()
    assert elsewhere.looks == 1


async def test_many_viewers_are_left_to_functions(elsewhere: Elsewhere) -> None:
    for number in range(INLINE_VIEWERS + 1):
        elsewhere.join(str(number))
    elsewhere.commit(1)
    await until_async(lambda: elsewhere.queued == [(1, INLINE_VIEWERS + 1)])
    assert elsewhere.told == []
