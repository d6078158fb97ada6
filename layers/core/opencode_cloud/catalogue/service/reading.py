"""Read the current catalogue in a process with an event loop, without a round trip for each call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from opencode_cloud.catalogue.service.caching import FRESH_SECONDS, age_seconds
from opencode_cloud.catalogue.service.starting import starting_catalogue
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import Catalogue
    from opencode_cloud.catalogue.store.current import AsyncCatalogueStore

STALE_SECONDS = 10.0
"""After these seconds without a read, a call waits for one: a published catalogue is in force within this time."""


class CatalogueReader:
    """Caches the catalogue in a process with an event loop.

    The first call waits, and so does a call after ``STALE_SECONDS`` without a read. Others get the cached catalogue at
    once, and at most every ``FRESH_SECONDS`` one of them starts a read in the background. While DynamoDB cannot be
    reached, the cached catalogue is still served.
    """

    def __init__(self, store: AsyncCatalogueStore) -> None:
        self._store = store
        self._catalogue: Catalogue | None = None
        self._read_at = 0
        self._reader: asyncio.Task[Catalogue] | None = None

    async def current(self) -> Catalogue:
        """Return the catalogue. Raises ``store_unavailable`` (503) when it was never read and cannot be read now."""
        age = age_seconds(self._read_at)
        if self._catalogue is None:
            # Shielded, because callers share the read: one caller's cancellation must not end it.
            return await asyncio.shield(self._read())
        if age > FRESH_SECONDS:
            reading = self._read()
            if age > STALE_SECONDS:
                # Bounded, because the cached catalogue is still served if DynamoDB cannot be reached.
                await asyncio.wait([reading], timeout=FRESH_SECONDS)
        return self._catalogue

    def _read(self) -> asyncio.Task[Catalogue]:
        """Return the task that reads now. All callers share it."""
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._refresh())
            self._reader.add_done_callback(_note)
        return self._reader

    async def _refresh(self) -> Catalogue:
        version = await self._store.version()
        if version == 0:
            self._catalogue = starting_catalogue()
        elif self._catalogue is None or self._catalogue.version != version:
            self._catalogue = await self._store.catalogue()
        self._read_at = now_ms()
        return self._catalogue


def _note(reading: asyncio.Task[Catalogue]) -> None:
    if not reading.cancelled() and (error := reading.exception()):
        logger.warning("the catalogue could not be read", extra={"reason": type(error).__name__})
