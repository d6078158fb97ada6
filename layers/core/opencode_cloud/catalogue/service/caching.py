"""Read the current catalogue in a function's execution environment. It has no event loop, which is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.catalogue.service.starting import starting_catalogue
from opencode_cloud.kit.clock import now_ms

if TYPE_CHECKING:
    from opencode_cloud.catalogue.models import Catalogue
    from opencode_cloud.catalogue.store.current import CatalogueStore

FRESH_SECONDS = 5.0
"""The time in seconds for which a read catalogue counts as current."""


class CatalogueCache:
    """Caches the catalogue in a function's execution environment, which handles one request at a time."""

    def __init__(self, store: CatalogueStore) -> None:
        self._store = store
        self._catalogue: Catalogue | None = None
        self._read_at = 0

    def current(self) -> Catalogue:
        """Return the catalogue, at most ``FRESH_SECONDS`` old."""
        return self.published() or starting_catalogue()

    def published(self) -> Catalogue | None:
        """Return the published catalogue, at most ``FRESH_SECONDS`` old; None when none was published."""
        if age_seconds(self._read_at) > FRESH_SECONDS:
            version = self._store.version()
            if version == 0:
                self._catalogue = None
            elif self._catalogue is None or self._catalogue.version != version:
                self._catalogue = self._store.catalogue()
            self._read_at = now_ms()
        return self._catalogue


def age_seconds(read_at: int) -> float:
    """Return the seconds since ``read_at``, by the wall clock: a monotonic clock may stop in a frozen process."""
    return (now_ms() - read_at) / 1000
