"""Pagination by keyset: a cursor is the key of a page's last row, so inserts and deletions do not shift pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, Field

from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.kit.ids import base64url
from opencode_cloud.kit.timestamps import to_utc

Item = TypeVar("Item", bound=BaseModel)
Row = TypeVar("Row")
Key = TypeVar("Key", bound=tuple[Any, ...])

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100

Limit = Annotated[int, Query(ge=1, le=LARGEST_LIMIT, description="The most entries of one page.")]
"""Annotation of a list route's parameter ``limit``; its default is ``DEFAULT_LIMIT``."""

Cursor = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")]
"""Annotation of a list route's parameter ``cursor``; its default is None, the first page."""


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    data: list[Item]
    next_cursor: str | None = Field(description="Ask with it for the next page; null on the last.")


def encode_cursor(key: Sequence[str | int | datetime]) -> str:
    """Encode the key of a page's last row (the columns of the list's order) as an opaque text."""
    return base64url(msgspec.json.encode(key))


def decode_cursor(cursor: str | None, form: type[Key]) -> Key | None:
    """Return the key in ``cursor``, of the types of ``form`` such as ``tuple[datetime, str]``; None for the first page.

    Raises ``invalid_cursor`` (400) for other texts than those of :func:`encode_cursor`. Times are naive UTC, as in SQL.
    """
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = msgspec.json.decode(text, type=form)
        return form(to_utc(part) if isinstance(part, datetime) else part for part in key)
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise BadRequest("invalid_cursor", "Invalid cursor. Pass `next_cursor` exactly as returned.") from error


def decode_id(cursor: str | None) -> str | None:
    """Return the id in the cursor of a list by id; None for the first page. Raises ``invalid_cursor`` (400)."""
    key = decode_cursor(cursor, tuple[str])
    return key[0] if key else None


def page_of(
    rows: Sequence[Row], limit: int, key: Callable[[Row], Sequence[str | int | datetime]], show: Callable[[Row], Item]
) -> Page[Item]:
    """Return a page of ``rows``, read with ``LIMIT limit + 1``. An extra row means that a next page exists."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(data=[show(row) for row in shown], next_cursor=encode_cursor(key(shown[-1])) if more else None)
