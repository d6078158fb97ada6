"""Marks of messages that are translated where they are shown.

Functions without pages import this module alone: the translations and their files need more.
"""

from __future__ import annotations


def gettext_noop(message: str) -> str:
    """Mark a message for translation. It is translated where it is shown."""
    return message


def pgettext_noop(context: str, message: str) -> str:  # noqa: ARG001 - what collects messages reads it
    """Mark a message with a context for translation. It is translated where it is shown."""
    return message


def ngettext_noop(one: str, many: str) -> tuple[str, str]:
    """Mark a message with a number for translation. Both its forms are returned."""
    return one, many
