"""Read the current catalogue without a round trip for each call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from opencode_cloud.catalogue.service.starting import starting_catalogue
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import Catalogue
    from opencode_cloud.catalogue.store.current import AsyncCatalogueStore, CatalogueStore

FRESH_SECONDS = 5.0
"""The time in seconds for which a read catalogue counts as current."""
ASLEEP_SECONDS = 300.0
"""After these seconds without a read, the process was probably frozen, and its catalogue may be old."""


class CatalogueReader:
    """Caches the catalogue in a process with an event loop.

    Only the first call waits. Later calls get the cached catalogue at once, and at most every ``FRESH_SECONDS`` one of
    them starts a read in the background. While DynamoDB cannot be reached, the cached catalogue is still served.
    """

    def __init__(self, store: AsyncCatalogueStore) -> None:
        self._store = store
        self._known: Catalogue | None = None
        self._looked = 0
        self._reader: asyncio.Task[Catalogue] | None = None

    async def current(self) -> Catalogue:
        """Return the catalogue. Raises ``store_unavailable`` (503) when it was never read and cannot be read now."""
        age = _age(self._looked)
        if self._known is None:
            # Shielded, because callers share the read: one caller's cancellation must not end it.
            return await asyncio.shield(self._read())
        if age > FRESH_SECONDS:
            reading = self._read()
            if age > ASLEEP_SECONDS:
                # Bounded, because the cached catalogue is still served if DynamoDB cannot be reached.
                await asyncio.wait([reading], timeout=FRESH_SECONDS)
        return self._known

    def _read(self) -> asyncio.Task[Catalogue]:
        """Return the task that reads now. All callers share it."""
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._look())
            self._reader.add_done_callback(_note)
        return self._reader

    async def _look(self) -> Catalogue:
        version = await self._store.version()
        if version == 0:
            self._known = starting_catalogue()
        elif self._known is None or self._known.version != version:
            self._known = await self._store.catalogue()
        self._looked = now_ms()
        return self._known


class CatalogueCache:
    """Caches the catalogue in a function's execution environment, which handles one request at a time."""

    def __init__(self, store: CatalogueStore) -> None:
        self._store = store
        self._known: Catalogue | None = None
        self._looked = 0

    def current(self) -> Catalogue:
        """Return the catalogue, at most ``FRESH_SECONDS`` old."""
        return self.published() or starting_catalogue()

    def published(self) -> Catalogue | None:
        """Return the published catalogue, at most ``FRESH_SECONDS`` old; None when none was published."""
        if _age(self._looked) > FRESH_SECONDS:
            version = self._store.version()
            if version == 0:
                self._known = None
            elif self._known is None or self._known.version != version:
                self._known = self._store.catalogue()
            self._looked = now_ms()
        return self._known


def _age(looked: int) -> float:
    """Return the seconds since ``looked``, by the wall clock: a monotonic clock may stop in a frozen process."""
    return (now_ms() - looked) / 1000


def _note(reading: asyncio.Task[Catalogue]) -> None:
    if not reading.cancelled() and (error := reading.exception()):
        logger.warning("the catalogue could not be read", extra={"reason": type(error).__name__})
