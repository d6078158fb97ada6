"""Alembic's entry: run by `opencode_cloud.kit.migration`, not by Alembic's command line, so that the lock is held."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from alembic import context

from opencode_cloud import schema
from opencode_cloud.kit.sql import Connection, metadata


def collect_tables() -> None:
    """Import every module of `schema`, which puts its tables into `metadata`."""
    for module in iter_modules(schema.__path__):
        import_module(f"{schema.__name__}.{module.name}")


def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
    """Return whether Alembic should compare an object: it must skip its own table."""
    return not (kind == "table" and name == "alembic_version")


def default_differs(
    _context: Any, _inspected: Any, _declared: Any, found: str | None, _default: Any, rendered: str | None
) -> bool:
    """Compare defaults of columns without the quotes that each server writes in its own way."""
    return (found is None) != (rendered is None) or _bare(found) != _bare(rendered)


def _bare(default: str | None) -> str:
    return (default or "").strip("'\"()")


def run(connection: Connection) -> None:
    """Run what was asked for (upgrade, check, revision) on `connection`."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=ours,
        compare_type=True,
        compare_server_default=default_differs,
        # MySQL commits at every statement that changes the schema: a version a transaction is the best there is.
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


collect_tables()
run(context.config.attributes["connection"])
