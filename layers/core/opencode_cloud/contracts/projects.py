"""Projects: the names that clients give them, and the headers in which clients send the names."""

from __future__ import annotations

import re

PROJECT_HEADER = "x-opencode-project"
"""The header in which opencode names its project. It counts in every workspace."""
LONGEST_PROJECT = 64
"""Characters of the name of a project."""
MOST_HEADERS = 5
"""Headers that a workspace may choose."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._:/@+-]*[A-Za-z0-9._:/@+-])?")
_IDS = ("mem_", "svc_", "key_", "grp_")
"""Beginnings of ids. A budget's subject is an id or the name of a project, so none may be taken for another."""
_HEADER = re.compile(r"x-[a-z0-9][a-z0-9-]{0,61}")
_CONFIDENTIAL = re.compile(
    r"key|token|secret|auth|pass|cookie|session|cred|sign|forwarded|-ip(?:-|$)|^x-(?:amz|org|opencode)-"
)
"""Parts of the names of headers that can hold secrets or addresses, or that have a meaning of their own."""


def is_project(name: str) -> bool:
    """Tell whether ``name`` can be the name of a project: ASCII, at most ``LONGEST_PROJECT`` characters, and no id."""
    return len(name) <= LONGEST_PROJECT and _NAME.fullmatch(name) is not None and not name.startswith(_IDS)


def is_project_header(name: str) -> bool:
    """Tell whether a workspace may choose the header ``name`` (lower case) for the names of its projects.

    It begins with ``x-``, and its name is not one of those that hold secrets.
    """
    return _HEADER.fullmatch(name) is not None and _CONFIDENTIAL.search(name) is None
