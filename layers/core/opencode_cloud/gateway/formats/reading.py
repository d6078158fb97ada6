"""Reading decoded JSON with its path, so that an error names the wrong value and its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Self, cast

import msgspec

from opencode_cloud.gateway.formats.models import Malformed

MOST = 2**31 - 1
"""The highest limit that a request may set: its worst-case cost must fit a number of the tables."""

_SNAKE = re.compile(r"(?<=[a-z0-9])_([a-z])")
_HUMP = re.compile(r"(?<=[a-z0-9])[A-Z]")


class Node:
    """A value in a document, and its path. Null counts as absent. Its readers raise :class:`Malformed`."""

    __slots__ = ("path", "value")

    def __init__(self, value: object, path: str = "") -> None:
        self.value = value
        self.path = path

    def wrong(self, reason: str) -> Malformed:
        """Return the error that says ``reason`` of this value."""
        return Malformed(self.path, reason)

    def raw(self, key: str) -> object:
        """Return a member's value, None if it is absent."""
        return self.members().get(key)

    def at(self, key: str) -> Self:
        """Return a member; its value is None if it is absent."""
        return type(self)(self.raw(key), f"{self.path}.{key}" if self.path else key)

    def present(self) -> bool:
        """True if the value is present."""
        return self.value is not None

    def members(self) -> dict[str, Any]:
        """Return the members of an object; none if the value is absent."""
        value: Any = self.value
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong("must be an object")
        return cast("dict[str, Any]", value)

    def each(self, key: str) -> Iterator[Self]:
        """Yield the elements of an array; none if it is absent."""
        node = self.at(key)
        if node.value is None:
            return
        values: Any = node.value
        if not isinstance(values, list):
            raise node.wrong("must be an array")
        for position, value in enumerate(cast("list[object]", values)):
            yield type(self)(value, f"{node.path}[{position}]")

    def mapping(self, key: str) -> dict[str, Any] | None:
        """Return a member that is an object, None if it is absent."""
        node = self.at(key)
        return node.members() if node.present() else None

    def text(self, key: str) -> str:
        """Return a string; empty if it is absent."""
        value = self.raw(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.at(key).wrong("must be a string")
        return value

    def needed(self, key: str) -> str:
        """Return a string that must be present and not empty."""
        value = self.text(key)
        if not value:
            raise self.at(key).wrong("must be a string that is not empty")
        return value

    def number(self, key: str) -> float | None:
        """Return a number, None if it is absent."""
        value = self.raw(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.at(key).wrong("must be a number")
        return value

    def integer(self, key: str) -> int | None:
        """Return a whole number, None if it is absent."""
        value = self.number(key)
        if value is not None and value != int(value):
            raise self.at(key).wrong("must be a whole number")
        return None if value is None else int(value)

    def positive(self, key: str) -> int | None:
        """Return a whole number from 1 to :data:`MOST`, None if it is absent."""
        value = self.integer(key)
        if value is not None and not 1 <= value <= MOST:
            raise self.at(key).wrong(f"must be at least 1 and at most {MOST}")
        return value

    def flag(self, key: str) -> bool | None:
        """Return true or false, None if it is absent."""
        value = self.raw(key)
        if value is None or isinstance(value, bool):
            return value
        raise self.at(key).wrong("must be true or false")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an array of strings; a single string counts as one of one element."""
        value = self.raw(key)
        if isinstance(value, str):
            return (value,)
        return tuple(node.string() for node in self.each(key))

    def string(self) -> str:
        """Return the value itself, which must be a string."""
        if not isinstance(self.value, str):
            raise self.wrong("must be a string")
        return self.value


class ProtoNode(Node):
    """A value in Google's JSON, where every member can also be spelled in snake_case."""

    __slots__ = ()

    def raw(self, key: str) -> object:
        """Return a member's value by either spelling. Both together are refused: servers differ in precedence."""
        members = self.members()
        other = snake(key)
        if other == key or other not in members:
            return members.get(key)
        if key in members:
            raise self.wrong(f"has `{key}` twice, in two spellings")
        return members[other]


def read_cache(block: Node) -> str:
    """Return the lifetime of a block's cache mark, ``5m`` or ``1h``; empty: it has none."""
    mark = block.at("cache_control")
    return (mark.text("ttl") or "5m") if mark.present() else ""


@cache
def snake(key: str) -> str:
    """Return a camelCase name in snake_case."""
    return _HUMP.sub(lambda match: "_" + match[0].lower(), key)


@cache
def camel(key: str) -> str:
    """Return a snake_case name in camelCase. Underscores at its beginning stay."""
    return _SNAKE.sub(lambda match: match[1].upper(), key)


def arguments_object(arguments: str) -> dict[str, Any]:
    """Return a tool call's arguments as an object.

    Models also write arguments that are not JSON. These are kept under the name ``invalid_json``: the tool refuses them
    and the model learns of it, while an error of the gateway would end the conversation for good.
    """
    if not arguments.strip():
        return {}
    try:
        value: object = msgspec.json.decode(arguments)
    except ValueError:
        return {"invalid_json": arguments}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"value": value}


def compact(value: object) -> str:
    """Write a value as JSON text on one line."""
    return msgspec.json.encode(value).decode()


def size(text: str) -> int:
    """Return the length of a text in UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def without_empty(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members that are not None."""
    return {key: value for key, value in members.items() if value is not None}
