"""MySQL through SQLAlchemy Core: one engine an execution environment, transactions, and what makes them survive.

Only the subset that MariaDB 10.11 and MySQL 8 share (docs/operate.md, "SQL").
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, create_engine
from sqlalchemy.dialects.mysql import BINARY, DATETIME, VARBINARY
from sqlalchemy.schema import SchemaItem

from opencode_cloud.kit.clock import utc_now

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
__all__ = [
    "Bytes",
    "Connection",
    "Database",
    "Digest",
    "Engine",
    "Id",
    "Moment",
    "id_column",
    "metadata",
    "table",
    "utc_now",
]

metadata = MetaData(naming_convention=NAMES)
"""All tables of all features; each feature's ``store`` adds its own."""

Id = String(30, collation="utf8mb4_bin")
"""An id of ours: compared byte by byte."""

Moment = DATETIME(fsp=6)
"""A time, UTC, to the microsecond; Python's side is naive: use :func:`utc_now`."""


Digest = BINARY(32)
"""A SHA-256. Not LargeBinary: that is a BLOB, which MySQL takes into no index without a length."""

Bytes = VARBINARY
"""Up to so many bytes: ``Bytes(1024)``."""


def table(name: str, *contents: SchemaItem) -> Table:
    """Return a table of ours: InnoDB, with all of Unicode, comparing text without regard to case."""
    return Table(
        name,
        metadata,
        *contents,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
    )


def id_column(name: str = "id", *rest: Any, **options: Any) -> Column[str]:
    """Return a column for an id of ours, the primary key when it is named ``id``."""
    return Column(name, Id, *rest, primary_key=name == "id", **options)


class Database:
    """The console plane's database.

    ``connect`` makes the engine, on first use: connections and credentials would not survive a SnapStart snapshot.
    """

    def __init__(self, url: str, **engine_options: Any) -> None:
        self._url = url
        self._options = engine_options
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, made on first use."""
        if self._engine is None:
            self._engine = create_engine(
                self._url, isolation_level="READ COMMITTED", pool_pre_ping=True, **self._options
            )
        return self._engine

    def dispose(self) -> None:
        """Close all connections; the next use opens new ones."""
        if self._engine is not None:
            self._engine.dispose()

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """Give a connection inside a transaction: committed at the end of the block, rolled back on an exception."""
        with self.engine.begin() as connection:
            yield connection
