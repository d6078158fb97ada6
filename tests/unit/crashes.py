"""Processes that die in the middle of their work."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event as sql_events

from opencode_cloud.kit.sql import Database


class Crash(BaseException):
    """The process dies: no handler of errors runs."""


@contextmanager
def dying_before(database: Database, statement: int) -> Generator[None]:
    """Raise :class:`Crash` before the statement of this number, counted from 1 in the block; 0: never."""
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            raise Crash

    sql_events.listen(database.engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        sql_events.remove(database.engine, "before_cursor_execute", count)
