"""TOML: keys before the first table, and whole tables. Every edit is compared with a parser's reading of it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from typing import Any

from opencode_cloud_connect.errors import NotEditable
from opencode_cloud_connect.formats.values import as_object, at

_HEADER = re.compile(r"\s*\[")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Toml:
    """The format of Codex's ``config.toml``. A path is a key before the tables, or the name of a table."""

    def read(self, text: str, path: Sequence[str]) -> Any:
        """Return the value at ``path``, or ``ABSENT``."""
        return at(_parsed(text), path)

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """Return ``text`` with ``value`` at ``path``: an object of scalars is a table, a scalar a key at the top."""
        expected = _parsed(text)
        _within(expected, path)[path[-1]] = value
        lines = text.splitlines(keepends=True)
        if isinstance(value, dict):
            body = [f"{_key(name)} = {_scalar(each)}\n" for name, each in as_object(value).items()]
            changed = _with_table(lines, path, body)
        else:
            changed = _with_key(lines, path[-1], f"{_key(path[-1])} = {_scalar(value)}\n")
        return _compared(changed, expected, path)

    def drop(self, text: str, path: Sequence[str]) -> str:
        """Return ``text`` without the key or table at ``path``."""
        expected = _parsed(text)
        parent = _within(expected, path)
        if path[-1] not in parent:
            return text
        table = isinstance(parent.pop(path[-1]), dict)
        if len(path) > 1 and not parent:
            expected.pop(path[0])
        lines = text.splitlines(keepends=True)
        changed = _without_table(lines, path) if table else _with_key(lines, path[-1], "")
        return _compared(changed, expected, path)


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotEditable(f"it is not valid TOML: {error}. Mend the file, and try again") from error


def _within(document: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """Return the table that has the last name of ``path`` as a member."""
    for name in path[:-1]:
        document = document.setdefault(name, {})
    return document


def _compared(lines: Sequence[str], expected: dict[str, Any], path: Sequence[str]) -> str:
    text = "".join(lines)
    try:
        same = tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise NotEditable(f"it writes {'.'.join(path)} in a form that cannot be changed. Take it out, and try again")
    return text


def _with_key(lines: list[str], name: str, line: str) -> list[str]:
    """Return ``lines`` with the line of a key replaced, taken out (an empty ``line``), or added before the tables."""
    end = next((index for index, each in enumerate(lines) if _HEADER.match(each)), len(lines))
    wanted = re.compile(rf'\s*(?:{re.escape(name)}|"{re.escape(name)}")\s*=')
    found = [index for index, each in enumerate(lines[:end]) if wanted.match(each)]
    if found:
        return [*lines[: found[0]], *([line] if line else []), *lines[found[0] + 1 :]]
    while end and not lines[end - 1].split("#")[0].strip():
        end -= 1
    before = [*lines[: end - 1], lines[end - 1].rstrip("\n") + "\n"] if end else []
    return [*before, line, *lines[end:]]


def _with_table(lines: list[str], path: Sequence[str], body: list[str]) -> list[str]:
    span = _table(lines, path)
    if span:
        return [*lines[: span[0] + 1], *body, *lines[span[1] :]]
    kept = "".join(lines)
    kept += "" if not kept or kept.endswith("\n") else "\n"
    return [kept, *(["\n"] if kept.strip() else []), f"[{'.'.join(map(_key, path))}]\n", *body]


def _without_table(lines: list[str], path: Sequence[str]) -> list[str]:
    span = _table(lines, path)
    if not span:
        return lines
    start = span[0] - (span[0] > 0 and not lines[span[0] - 1].strip())
    return [*lines[:start], *lines[span[1] :]]


def _table(lines: list[str], path: Sequence[str]) -> tuple[int, int] | None:
    """Return the lines of a table: its header, and the first blank, comment or header behind its keys."""
    names = r"\s*\.\s*".join(rf'(?:{re.escape(name)}|"{re.escape(name)}")' for name in path)
    header = re.compile(rf"\s*\[\s*{names}\s*\]")
    start = next((index for index, each in enumerate(lines) if header.match(each)), None)
    if start is None:
        return None
    end = start + 1
    while end < len(lines) and lines[end].strip() and not _HEADER.match(lines[end]):
        end += 1
    return start, end


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _scalar(value: Any) -> str:
    """Write a scalar. A basic string of TOML has the escapes of JSON, but no pairs of them for one character."""
    return json.dumps(value, ensure_ascii=False)


TOML = Toml()
