"""Files of lines, each with a name and a value: ``.env``, and the top level of a YAML mapping."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from opencode_cloud_connect.errors import NotEditable
from opencode_cloud_connect.formats.values import ABSENT


class Lines:
    """A format in which each line has one value. A path has one name.

    A value is the text behind the separator as it is written, with its quotation marks and a comment behind it. So it
    comes back as it was.
    """

    def __init__(self, separator: str, before: str, more: str, other: str) -> None:
        """Take the separator and three patterns.

        They are text before a name, a line that continues the value above, and a line of a file in another form.
        """
        self._separator = separator
        self._before = before
        self._more = re.compile(more)
        self._other = re.compile(other, re.MULTILINE)

    def read(self, text: str, path: Sequence[str]) -> Any:
        """Return the value of the last line with this name, or ``ABSENT``."""
        lines = text.splitlines(keepends=True)
        found = self._found(lines, path[0])
        return found[-1][1].strip() if found else ABSENT

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """Return ``text`` with the value on a line. Raises :class:`NotEditable` where it takes several lines."""
        if self._other.search(text):
            raise NotEditable(
                "it is not a mapping with each name at the beginning of a line. Write it so, and try again"
            )
        lines = text.splitlines(keepends=True)
        found = self._found(lines, path[0])
        if not found:
            whole = text if not text or text.endswith("\n") else text + "\n"
            return f"{whole}{path[0]}{self._separator}{value}\n"
        index = self._single(lines, found[-1], path[0])
        start = lines[index].partition(self._separator.strip())[0].rstrip()
        return "".join([*lines[:index], f"{start}{self._separator}{value}\n", *lines[index + 1 :]])

    def drop(self, text: str, path: Sequence[str]) -> str:
        """Return ``text`` without the last line with this name."""
        lines = text.splitlines(keepends=True)
        found = self._found(lines, path[0])
        if not found:
            return text
        index = self._single(lines, found[-1], path[0])
        return "".join([*lines[:index], *lines[index + 1 :]])

    def _found(self, lines: Sequence[str], name: str) -> list[tuple[int, str]]:
        """Return the places and values of all lines with a name."""
        wanted = re.compile(rf"{self._before}{re.escape(name)}\s*{self._separator.strip()}")
        matches = ((index, line, wanted.match(line)) for index, line in enumerate(lines))
        return [(index, line[match.end() :]) for index, line, match in matches if match]

    def _single(self, lines: Sequence[str], found: tuple[int, str], name: str) -> int:
        """Return the place of a line whose value ends on it."""
        index, value = found[0], found[1].strip()
        unclosed = value[:1] in ("'", '"') and value.count(value[0]) < 2
        if unclosed or (index + 1 < len(lines) and self._more.match(lines[index + 1])):
            raise NotEditable(f"{name} takes several lines. Write it on one line, and try again")
        return index


_NEVER = "(?!)"
DOTENV = Lines("=", r"\s*(?:export\s+)?", _NEVER, _NEVER)
"""The format of ``.env`` files."""
YAML = Lines(": ", "", r"[ \t]+\S|-\s", r"\A(?:\s*\n|[ \t]*#.*\n|---.*\n|%.*\n)*(?:[ \t]+[^\s#]|[{\[]|- )|^\.\.\.")
"""The top level of a YAML mapping."""
