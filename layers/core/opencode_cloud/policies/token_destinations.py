"""Refuse a configuration that sends the members' access token to another server than this deployment.

A bearer token goes only to the server that it is for (RFC 6750, 5.3). The client replaces the reference wherever it
stands, so every text of the document is searched, and the destination of each place is compared as a parsed origin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from opencode_cloud.kit.json_documents import DocumentFault, pointer

Path_ = tuple[str | int, ...]
TOKEN_VARIABLE = "OPENCODE_CONSOLE_TOKEN"  # noqa: S105 - the name of a variable
_PORTS = {"http": 80, "https": 443}
# Stricter than a browser's parser, which removes blanks and reads a backslash as a slash. An ambiguous address has no
# origin here, nor has one with a user's part (`https://our.name@other.example`).
_ADDRESS = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(?=[/?#]|\Z)", re.IGNORECASE)


class WebOrigin(NamedTuple):
    """A parsed origin (RFC 6454)."""

    scheme: str
    host: str
    port: int


def origin_of(address: str) -> WebOrigin | None:
    """Return the origin of an address; None for a text that is no plain http or https address."""
    found = _ADDRESS.match(address)
    if found is None:
        return None
    scheme, host, port = found.group(1).lower(), found.group(2).lower(), found.group(3)
    return WebOrigin(scheme, host, int(port) if port else _PORTS[scheme])


def token_faults(document: Mapping[str, Any], here: str) -> Iterator[DocumentFault]:
    """Return each place that sends the token elsewhere. ``here`` is this deployment's address."""
    own = origin_of(here)
    for path, text in _texts(document, ()):
        if TOKEN_VARIABLE in text.upper() and not _goes_to(document, path, own):
            message = f"it would send the members' token to another server: {TOKEN_VARIABLE} may go to {here} only"
            yield DocumentFault(path=pointer(path), message=message)


def _goes_to(document: Mapping[str, Any], path: Path_, own: WebOrigin | None) -> bool:
    """Tell whether the text at ``path`` is sent to ``own``, and to no other server."""
    if own is None or len(path) < 3:
        return False
    entry = document[str(path[0])][path[1]]
    match path:
        case ("provider", _, "options" | "env", *_) | ("provider", _, "models", _, "options" | "headers", *_):
            given = entry.get("options", {}).get("baseURL") or entry.get("api")
        case ("mcp", _, "url" | "headers", *_) if entry.get("type") == "remote":
            given = entry.get("url")
        case _:
            return False
    addresses = [text for _, text in _texts(entry, ()) if "://" in text]
    return bool(given) and all(origin_of(address) == own for address in [given, *addresses])


def _texts(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    """Return every text of a document with its place; a key's place is that of its value."""
    if isinstance(value, dict):
        for key, each in cast("dict[str, Any]", value).items():
            yield (*path, key), key
            yield from _texts(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(cast("list[Any]", value)):
            yield from _texts(each, (*path, index))
    elif isinstance(value, str):
        yield path, value
