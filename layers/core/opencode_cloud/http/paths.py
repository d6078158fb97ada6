"""Check the targets of redirects after sign-in: only paths of our host are allowed."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

LONGEST = 2000
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
_NOT_BACK_TO = ("/login", "/logout", "/auth/callback")


def safe_path(path_and_query: str) -> str:
    r"""Return ``path_and_query`` if it is a path of our host (with its query), else ``/``.

    Browsers take ``//host`` and ``/\\host`` for other hosts and drop tabs and line breaks, so none of these may occur.
    """
    proceed = own_path(path_and_query)
    path = proceed.partition("?")[0]
    return "/" if any(path == prefix or path.startswith(f"{prefix}/") for prefix in _NOT_BACK_TO) else proceed


def own_path(path_and_query: str) -> str:
    """Return ``path_and_query`` if it is a path of our host (with its query), else ``/``; also a page of signing in."""
    if len(path_and_query) > LONGEST or not _PATH.fullmatch(path_and_query):
        return "/"
    try:
        parts = urlsplit(path_and_query)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else path_and_query


def login_path(proceed: str) -> str:
    """Return the address of the sign-in page that redirects to ``proceed`` afterwards."""
    return "/login" if proceed == "/" else f"/login?continue={quote(proceed, safe='')}"
