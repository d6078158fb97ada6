"""The environment of a deployed function, read once, with an error that names what is missing."""

from __future__ import annotations

import os


class MissingSetting(RuntimeError):
    """A function was deployed without an environment variable that it needs."""


def text(name: str, default: str | None = None) -> str:
    """Return the setting ``name``; raise :class:`MissingSetting` when it has neither value nor default."""
    value = os.environ.get(name, default)
    if value is None:
        raise MissingSetting(f"the environment variable {name} is not set: redeploy the stack that owns this function")
    return value


def number(name: str, default: int) -> int:
    """Return the setting ``name`` as a whole number."""
    value = os.environ.get(name, "")
    try:
        return int(value) if value else default
    except ValueError as error:
        raise MissingSetting(f"the environment variable {name} must be a whole number, not {value!r}") from error
