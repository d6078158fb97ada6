"""Files of lines, each with a name and a value: ``.env``, and the top level of a YAML mapping."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from opencode_cloud_connect.errors import NotEditable
from opencode_cloud_connect.formats.values import ABSENT


class Lines:
    """A format in which each line has one value. A path has one name, and values are text."""

    def __init__(self, separator: str, before: str, write: Callable[[str], str], more: str) -> None:
        """``before`` and ``more`` are patterns: of text before a name, and of a line that continues the value above."""
        self._separator = separator
        self._before = before
        self._write = write
        self._more = re.compile(more)

    def read(self, text: str, path: Sequence[str]) -> Any:
        """Return the value of the last line with this name, or ``ABSENT``."""
        lines = text.splitlines(keepends=True)
        found = self._found(lines, path[0])
        return _unquoted(lines[found[-1]].split(self._separator.strip(), 1)[1]) if found else ABSENT

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """Return ``text`` with the value on a line. Raises :class:`NotEditable` where it takes several lines."""
        lines, line = text.splitlines(keepends=True), f"{path[0]}{self._separator}{self._write(value)}\n"
        found = self._found(lines, path[0])
        if not found:
            whole = text if not text or text.endswith("\n") else text + "\n"
            return whole + line
        self._check(lines, found[-1], path[0])
        return "".join([*lines[: found[-1]], line, *lines[found[-1] + 1 :]])

    def drop(self, text: str, path: Sequence[str]) -> str:
        """Return ``text`` without the last line with this name."""
        lines = text.splitlines(keepends=True)
        found = self._found(lines, path[0])
        if not found:
            return text
        self._check(lines, found[-1], path[0])
        return "".join([*lines[: found[-1]], *lines[found[-1] + 1 :]])

    def _found(self, lines: Sequence[str], name: str) -> list[int]:
        wanted = re.compile(rf"{self._before}{re.escape(name)}\s*{self._separator.strip()}")
        return [index for index, line in enumerate(lines) if wanted.match(line)]

    def _check(self, lines: Sequence[str], index: int, name: str) -> None:
        if index + 1 < len(lines) and self._more.match(lines[index + 1]):
            raise NotEditable(f"{name} takes several lines. Write it on one line, and try again")


def _unquoted(text: str) -> str:
    value = text.strip()
    if value[:1] == '"' == value[-1:] and len(value) > 1:
        return str(json.loads(value))
    return value[1:-1] if value[:1] == "'" == value[-1:] and len(value) > 1 else value


DOTENV = Lines("=", r"\s*(?:export\s+)?", str, r"(?!)")
"""The format of ``.env`` files. Values are written without quotes."""
YAML = Lines(": ", "", json.dumps, r"[ \t]+\S|-\s")
"""Scalars at the top of a YAML mapping, in double quotes, which have the escapes of JSON."""
