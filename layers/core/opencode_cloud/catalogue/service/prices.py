"""Rates by the version of a price, as usage events name it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from opencode_cloud.catalogue.pricing import RateTable
from opencode_cloud.catalogue.service.starting import starting_catalogue

if TYPE_CHECKING:
    from opencode_cloud.catalogue.store.versions import VersionStore


class PriceHistory:
    """Reads prices that were ever in force."""

    def __init__(self, versions: VersionStore) -> None:
        self._versions = versions

    def of(self, versions: Iterable[str]) -> Mapping[str, RateTable]:
        """Return rates by version: of a price that was published, or of the starting catalogue. Others are left out."""
        wanted = set(versions)
        if not wanted:
            return {}
        with self._versions.transaction() as connection:
            published = self._versions.prices(connection, sorted(wanted))
        found: dict[str, RateTable] = {price.version: price for price in published}
        if wanted - found.keys():
            models = starting_catalogue().models.values()
            found |= {price.version: price for model in models for price in model.prices if price.version in wanted}
        return found
