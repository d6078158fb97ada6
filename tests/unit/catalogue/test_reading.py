"""The cached catalogue of a process: only the first call waits, and no call gets an old catalogue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opencode_cloud.catalogue.document import form_of
from opencode_cloud.catalogue.models import Catalogue
from opencode_cloud.catalogue.service import caching, reading
from opencode_cloud.catalogue.service.caching import CatalogueCache
from opencode_cloud.catalogue.service.reading import CatalogueReader
from opencode_cloud.kit.errors import Unavailable
from tests.unit.catalogue.documents import document
from tests.waiting import PATIENCE


class Shelf:
    """The rows, the duration of a read, and the number of reads of each row."""

    def __init__(self, version: int = 1) -> None:
        self.number = version
        self.open = asyncio.Event()
        self.open.set()
        self.away = False
        self.reads = {"version": 0, "catalogue": 0}

    async def version(self) -> int:
        await self.open.wait()
        return self.now("version")

    async def catalogue(self) -> Catalogue:
        await self.open.wait()
        self.now("catalogue")
        return form_of(document()).catalogue(self.number)

    def now(self, what: str) -> int:
        self.reads[what] += 1
        if self.away:
            raise Unavailable("store_unavailable", "away")
        return self.number


class SyncShelf:
    """The same, without an event loop."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def version(self) -> int:
        return self._shelf.now("version")

    def catalogue(self) -> Catalogue:
        self._shelf.now("catalogue")
        return form_of(document()).catalogue(self._shelf.number)


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_795_000_000.0

    def __call__(self) -> int:
        return int(self.seconds * 1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(reading, "now_ms", made)
    monkeypatch.setattr(caching, "now_ms", made)
    return made


async def settled() -> None:
    """Let the background tasks run to their end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_calls_share_one_read(clock: Clock) -> None:
    shelf: Any = Shelf()
    reader = CatalogueReader(shelf)
    found = await asyncio.gather(*(reader.current() for _ in range(20)))
    assert {catalogue.version for catalogue in found} == {1}
    assert shelf.reads == {"version": 1, "catalogue": 1}


async def test_later_calls_never_wait_and_see_a_new_version_soon(clock: Clock) -> None:
    shelf: Any = Shelf()
    reader = CatalogueReader(shelf)
    await reader.current()
    shelf.number = 2
    assert (await reader.current()).version == 1
    await settled()
    assert shelf.reads["version"] == 1  # the catalogue is fresh
    clock.seconds += caching.FRESH_SECONDS + 1
    shelf.open.clear()
    for _ in range(5):
        assert (await asyncio.wait_for(reader.current(), PATIENCE)).version == 1
    shelf.open.set()
    await settled()
    assert (await reader.current()).version == 2
    assert shelf.reads == {"version": 2, "catalogue": 2}


async def test_the_whole_of_it_is_read_only_when_the_version_is_another(clock: Clock) -> None:
    shelf: Any = Shelf()
    reader = CatalogueReader(shelf)
    for _ in range(4):
        await reader.current()
        await settled()
        clock.seconds += caching.FRESH_SECONDS + 1
    assert shelf.reads == {"version": 4, "catalogue": 1}


async def test_while_the_store_is_away_what_is_known_goes_on(clock: Clock) -> None:
    shelf: Any = Shelf()
    reader = CatalogueReader(shelf)
    shelf.away = True
    with pytest.raises(Unavailable):
        await reader.current()
    shelf.away = False
    await reader.current()
    shelf.away = True
    for seconds in (caching.FRESH_SECONDS + 1, reading.STALE_SECONDS + 1):
        clock.seconds += seconds
        assert (await reader.current()).version == 1
        await settled()


async def test_a_process_without_traffic_looks_before_it_answers(clock: Clock) -> None:
    shelf: Any = Shelf()
    reader = CatalogueReader(shelf)
    await reader.current()
    shelf.number = 2
    clock.seconds += reading.STALE_SECONDS + 1
    assert (await reader.current()).version == 2


async def test_a_caller_that_goes_away_leaves_the_read_to_the_others(clock: Clock) -> None:
    shelf: Any = Shelf()
    shelf.open.clear()
    reader = CatalogueReader(shelf)
    first, second = asyncio.create_task(reader.current()), asyncio.create_task(reader.current())
    await settled()
    first.cancel()
    shelf.open.set()
    assert (await second).version == 1


async def test_before_anything_was_published_the_starting_catalogue_counts(clock: Clock) -> None:
    shelf: Any = Shelf(0)
    assert (await CatalogueReader(shelf).current()).version == 0
    cache: Any = CatalogueCache(SyncShelf(shelf))  # pyright: ignore[reportArgumentType]
    assert (cache.published(), cache.current().version) == (None, 0)
    assert shelf.reads == {"version": 2, "catalogue": 0}


async def test_a_function_reads_the_version_at_most_every_five_seconds(clock: Clock) -> None:
    shelf = Shelf()
    cache = CatalogueCache(SyncShelf(shelf))  # pyright: ignore[reportArgumentType]
    assert [cache.current().version for _ in range(3)] == [1, 1, 1]
    shelf.number = 2
    assert cache.current().version == 1
    clock.seconds += caching.FRESH_SECONDS + 1
    assert cache.current().version == 2
    assert shelf.reads == {"version": 2, "catalogue": 2}
