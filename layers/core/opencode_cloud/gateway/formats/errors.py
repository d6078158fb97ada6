"""Errors of the gateway, written as the clients of each format read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.error_forms import with_finality
from opencode_cloud.gateway.formats.models import WireError
from opencode_cloud.gateway.formats.registry import wire_format


def answer_error(
    format_: Format, *, status: int, code: str, message: str, details: Mapping[str, Any], final: bool = False
) -> bytes:
    """Return the body of an HTTP error.

    ``final``: write a refusal so that opencode does not take its digits for a temporary failure.
    """
    error = WireError(status=status, code=code, message=message, details=details)
    write = wire_format(format_).error_body
    return with_finality(write, error) if final else write(error)


def is_own_error(format_: Format, body: bytes) -> bool:
    """Tell whether an upstream's body is an error that clients of a format read.

    Proxies before an upstream answer with a page, servers that are only compatible in a form of their own.
    """
    try:
        document: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and wire_format(format_).is_error(cast("dict[str, Any]", document))


def error_event(
    format_: Format,
    *,
    status: int = 500,
    code: str,
    message: str,
    details: Mapping[str, Any],
    sequence: int = 0,
    final: bool = False,
) -> bytes:
    """Return an error within a stream. Nothing may follow it.

    ``status`` is the one that an HTTP error would have had. ``sequence`` is the number of the event, in formats that
    number events. ``final`` is as in :func:`answer_error`.
    """
    error = WireError(status=status, code=code, message=message, details=details)
    write = wire_format(format_).error_event
    return with_finality(lambda each: write(each, sequence), error) if final else write(error, sequence)


def heartbeat(format_: Format) -> bytes:
    """Return bytes that every client of a format ignores between two events."""
    return wire_format(format_).heartbeat
