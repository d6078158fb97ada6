"""Elements as data, and their HTML. `web/static/nodes.js` makes the same elements in the browser.

Renderers of shared content return these, so foreign text reaches a page only as the text of an element or the value of
an attribute, and one function escapes both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec
from markupsafe import Markup, escape

_VOID = frozenset({"br", "hr", "img"})


class Element(msgspec.Struct):
    """An element of a page. An attribute without a value is the empty string."""

    tag: str
    attributes: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    children: list[Node] = msgspec.field(default_factory=list["Node"])


Node: TypeAlias = Element | str


def element(tag: str, attributes: dict[str, str] | None = None, *children: Node | None) -> Element:
    """Make an element. Leave out children that are None."""
    return Element(tag, attributes or {}, [child for child in children if child is not None])


def span(name: str, words: str) -> Element:
    """Make a span of the class ``name``."""
    return Element("span", {"class": name}, [words] if words else [])


def html(nodes: Iterable[Node]) -> Markup:
    """Write nodes as HTML, with all text and all values escaped."""
    written: list[str] = []
    for node in nodes:
        _write(node, written)
    return Markup("".join(written))  # noqa: S704 - _write escapes


def _write(node: Node, written: list[str]) -> None:
    if isinstance(node, str):
        written.append(str(escape(node)))
        return
    written.append(f"<{node.tag}")
    written.extend(f' {name}="{escape(value)}"' for name, value in node.attributes.items())
    written.append(">")
    if node.tag in _VOID:
        return
    if node.tag == "pre":
        written.append("\n")  # not content: without it, a browser would drop the first line end of the text
    for child in node.children:
        _write(child, written)
    written.append(f"</{node.tag}>")


def words_of(nodes: Sequence[Node]) -> str:
    """Return the text of nodes."""
    return "".join(node if isinstance(node, str) else words_of(node.children) for node in nodes)
