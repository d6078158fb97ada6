"""Versions of the catalogue and their prices in MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from opencode_cloud.catalogue.models import Catalogue, CatalogueRevision, Price
from opencode_cloud.schema.catalogue import catalogue_prices, catalogue_versions

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection, Database

_LISTED = ("number", "comment", "created_by", "created_at")


class VersionStore:
    """The tables ``catalogue_versions`` and ``catalogue_prices``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[Connection]:
        """Return a context manager that yields a connection inside a transaction."""
        return self._database.transaction()

    def latest(self, connection: Connection) -> CatalogueRevision | None:
        """Return the latest version; None when nothing was published."""
        query = select(catalogue_versions).order_by(catalogue_versions.c.number.desc()).limit(1)
        row = connection.execute(query).mappings().first()
        return CatalogueRevision(**row) if row else None

    def get(self, connection: Connection, number: int) -> CatalogueRevision | None:
        """Return one version; None when it does not exist."""
        query = select(catalogue_versions).where(catalogue_versions.c.number == number)
        row = connection.execute(query).mappings().first()
        return CatalogueRevision(**row) if row else None

    def versions(self, connection: Connection, limit: int) -> Sequence[CatalogueRevision]:
        """Return versions without their documents, the latest first."""
        query = select(*(catalogue_versions.c[name] for name in _LISTED))
        rows = connection.execute(query.order_by(catalogue_versions.c.number.desc()).limit(limit))
        return [CatalogueRevision(**row) for row in rows.mappings()]

    def add(self, connection: Connection, revision: CatalogueRevision) -> bool:
        """Insert a version; False when a concurrent publication has inserted one with its number."""
        try:
            connection.execute(catalogue_versions.insert(), msgspec.structs.asdict(revision))
        except IntegrityError:
            return False
        return True

    def begun(self, connection: Connection, until: int) -> dict[str, list[Price]]:
        """Return all prices that begin no later than ``until`` (epoch seconds), by model, ordered by ``since``."""
        query = select(catalogue_prices).where(catalogue_prices.c.since <= _moment(until))
        prices: dict[str, list[Price]] = {}
        for row in connection.execute(query.order_by(catalogue_prices.c.since)):
            prices.setdefault(row.model, []).append(msgspec.convert(row.price, Price))
        return prices

    def prices(self, connection: Connection, versions: Sequence[str]) -> Sequence[Price]:
        """Return the published prices with these versions."""
        query = select(catalogue_prices.c.price).where(catalogue_prices.c.version.in_(versions))
        return [msgspec.convert(price, Price) for price in connection.execute(query).scalars()]

    def note_prices(self, connection: Connection, catalogue: Catalogue, settled: int) -> None:
        """Insert the prices of a catalogue; delete other prices that begin after ``settled`` (epoch seconds)."""
        later = catalogue_prices.c.since > _moment(settled)
        connection.execute(delete(catalogue_prices).where(later))
        versions = set(connection.execute(select(catalogue_prices.c.version)).scalars())
        rows: list[dict[str, Any]] = [
            {
                "version": price.version,
                "model": model.id,
                "since": _moment(price.since),
                "price": msgspec.to_builtins(price),
                "published_in": catalogue.version,
            }
            for model in catalogue.models.values()
            for price in model.prices
            if price.version not in versions
        ]
        if rows:
            connection.execute(catalogue_prices.insert(), rows)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
