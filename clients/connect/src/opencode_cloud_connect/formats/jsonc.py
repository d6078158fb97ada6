"""JSON with comments and trailing commas, as editors and agents write their settings.

A scanner records where each member begins and ends. Edits replace these places only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opencode_cloud_connect.errors import NotEditable
from opencode_cloud_connect.formats.values import at

INDENT = "  "
_SPACE = re.compile(r"(?:[ \t\r\n]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_SCALAR = re.compile(r"[^\s,\]}/\"]+")


@dataclass
class Node:
    """A value and its place in the text."""

    start: int
    end: int
    value: Any
    members: list[Member] = field(default_factory=list["Member"])
    """The members of an object, in order."""


@dataclass
class Member:
    """A member of an object. ``comma`` is the position behind its comma, or -1."""

    key: str
    start: int
    node: Node
    comma: int = -1


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> Node:
        self.space()
        node = self.value()
        self.space()
        if self.at != len(self.text):
            raise self.wrong("the end of the file")
        return node

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def value(self) -> Node:
        start = self.text[self.at : self.at + 1]
        if start == "{":
            return self.object()
        if start == "[":
            return self.array()
        pattern = _STRING if start == '"' else _SCALAR
        match = pattern.match(self.text, self.at)
        if match is None:
            raise self.wrong("a value")
        node = Node(self.at, match.end(), self.parsed(match[0]))
        self.at = match.end()
        return node

    def object(self) -> Node:
        node = Node(self.at, self.at, {})
        self.at += 1
        self.space()
        while not self.took("}"):
            start, match = self.at, _STRING.match(self.text, self.at)
            if match is None:
                raise self.wrong("the name of a member")
            self.at = match.end()
            self.space()
            if not self.took(":"):
                raise self.wrong("a colon")
            self.space()
            member = Member(self.parsed(match[0]), start, self.value())
            node.members.append(member)
            node.value[member.key] = member.node.value
            member.comma = self.separator("}")
        node.end = self.at
        return node

    def array(self) -> Node:
        node = Node(self.at, self.at, [])
        self.at += 1
        self.space()
        while not self.took("]"):
            node.value.append(self.value().value)
            self.separator("]")
        node.end = self.at
        return node

    def separator(self, closing: str) -> int:
        """Read the comma behind a value, and return the position behind it; -1 before the closing bracket."""
        self.space()
        if self.took(","):
            after = self.at
            self.space()
            return after
        if self.text[self.at : self.at + 1] != closing:
            raise self.wrong(f"a comma or {closing}")
        return -1

    def took(self, character: str) -> bool:
        found = self.text[self.at : self.at + 1] == character
        self.at += found
        return found

    def parsed(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise self.wrong("a value of JSON") from error

    def wrong(self, expected: str) -> NotEditable:
        line = self.text.count("\n", 0, self.at) + 1
        return NotEditable(f"it is not valid JSON: {expected} is missing in line {line}. Mend the file, and try again")


class Jsonc:
    """The format of ``settings.json`` and ``opencode.jsonc``. A path is a list of names of members."""

    def read(self, text: str, path: Sequence[str]) -> Any:
        """Return the value at ``path``, or ``ABSENT``."""
        return at(_root(text).value, path)

    def put(self, text: str, path: Sequence[str], value: Any) -> str:
        """Return ``text`` with ``value`` at ``path``. Raises :class:`NotEditable` for a path through a scalar."""
        text = text if text.strip() else "{}\n"
        node, rest = _deepest(_root(text), path)
        if not rest:
            return text[: node.start] + _written(value, _indent_of_line(text, node.start)) + text[node.end :]
        if not isinstance(node.value, dict):
            raise NotEditable(f"its member {'.'.join(path[: len(path) - len(rest)])} is not an object")
        for name in reversed(rest[1:]):
            value = {name: value}
        return _inserted(text, node, rest[0], value)

    def drop(self, text: str, path: Sequence[str]) -> str:
        """Return ``text`` without the member at ``path``."""
        if not text.strip():
            return text
        node, rest = _deepest(_root(text), path[:-1])
        found = [index for index, member in enumerate(node.members) if member.key == path[-1]]
        return text if rest or not found else _removed(text, node, found[-1])


def _root(text: str) -> Node:
    if not text.strip():
        return Node(0, 0, {})
    root = _Scanner(text).document()
    if not isinstance(root.value, dict):
        raise NotEditable("it is not a JSON object")
    return root


def _deepest(node: Node, path: Sequence[str]) -> tuple[Node, Sequence[str]]:
    """Follow ``path`` as far as it exists; return the last node, and the names that are missing."""
    for index, name in enumerate(path):
        found = [member.node for member in node.members if member.key == name]
        if not found:
            return node, path[index:]
        node = found[-1]
    return node, ()


def _inserted(text: str, node: Node, name: str, value: Any) -> str:
    close = node.end - 1
    key = json.dumps(name, ensure_ascii=False)
    outer = _indent_of_line(text, node.start)
    if not node.members:
        inner = outer + INDENT
        kept = text[node.start + 1 : close].rstrip()
        filled = f"{kept}\n{inner}{key}: {_written(value, inner)}\n{outer}"
        return text[: node.start + 1] + filled + text[close:]
    last = node.members[-1]
    if "\n" not in text[node.start : node.members[0].start]:
        at = last.comma if last.comma >= 0 else last.node.end
        comma = "" if last.comma >= 0 else ","
        return f"{text[:at]}{comma} {key}: {json.dumps(value, ensure_ascii=False)}{text[at:]}"
    inner = _indent_of_line(text, node.members[0].start)
    end = len(text[:close].rstrip())
    added = f"\n{inner}{key}: {_written(value, inner)}{',' if last.comma >= 0 else ''}"
    if last.comma >= 0:
        return text[:end] + added + text[end:]
    return text[: last.node.end] + "," + text[last.node.end : end] + added + text[end:]


def _removed(text: str, node: Node, index: int) -> str:
    member = node.members[index]
    end = member.comma if member.comma >= 0 else member.node.end
    start = member.start
    if member.comma < 0 and index:
        comma = node.members[index - 1].comma
        text, start, end = text[: comma - 1] + text[comma:], start - 1, end - 1
    line, after = text.rfind("\n", 0, start) + 1, text.find("\n", end) + 1
    if after and not text[line:start].strip() and not text[end:after].strip():
        start, end = line, after
    return text[:start] + text[end:]


def _written(value: Any, indent: str) -> str:
    return json.dumps(value, indent=INDENT, ensure_ascii=False).replace("\n", "\n" + indent)


def _indent_of_line(text: str, at: int) -> str:
    begin = text.rfind("\n", 0, at) + 1
    return text[begin : begin + len(text[begin:at]) - len(text[begin:at].lstrip())]


JSONC = Jsonc()
