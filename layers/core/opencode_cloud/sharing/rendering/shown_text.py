"""The blocks of code and output that a page shows of a part, as comments name their lines.

They are taken from the elements of the page, so that each block has the text that a reader sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opencode_cloud.sharing.protocol.comments import (
    MOST_LINES,
    WantedLines,
    no_text,
    too_many_lines,
    unknown_block,
    unknown_text_line,
)
from opencode_cloud.sharing.rendering.blocks import block
from opencode_cloud.sharing.rendering.lenient import mapping
from opencode_cloud.sharing.rendering.nodes import Element, Node, words_of
from opencode_cloud.sharing.rendering.views import block_nodes

_TERMINAL = frozenset({"output", "failure"})
"""Classes of elements into which a long output is cut (:mod:`opencode_cloud.sharing.rendering.terminal`)."""


def blocks_in(key: str, value: object) -> list[list[str]]:
    """Return the lines of the blocks that a page shows of the item with this key, in their order.

    A block is a command, an output, or code, also in a text. Changes of files are none: comments name their lines by
    the numbers of the file. ``value`` is the item's data. Items that are no parts have no blocks.
    """
    shown = block(mapping(value)) if key.startswith("part/") else None
    found: list[tuple[str, list[str]]] = []
    for made in _fixed_width(block_nodes(shown) if shown else []):
        name = made.attributes.get("class", "")
        lines = words_of(made.children).split("\n")
        if name in _TERMINAL and found and found[-1][0] == name:
            found[-1][1].extend(lines)
        else:
            found.append((name, lines))
    return [_without_end(lines) for _name, lines in found]


def block_text(blocks: Sequence[Sequence[str]], wanted: WantedLines) -> str:
    """Return the text of lines of one of ``blocks``.

    Raises ``invalid_lines`` (400) for lines that the page does not show, and for too many.
    """
    last = wanted.last or wanted.first
    if not 0 <= last - wanted.first < MOST_LINES:
        raise too_many_lines()
    if not blocks:
        raise no_text()
    if not 0 < wanted.change <= len(blocks):
        raise unknown_block(len(blocks))
    lines = blocks[wanted.change - 1]
    for number in (wanted.first, last):
        if not 0 < number <= len(lines):
            raise unknown_text_line(number, len(lines))
    return "\n".join(lines[wanted.first - 1 : last])


def _fixed_width(nodes: Sequence[Node]) -> Iterator[Element]:
    for node in nodes:
        if isinstance(node, str):
            continue
        if node.tag != "pre":
            yield from _fixed_width(node.children)
        elif "patch" not in node.attributes.get("class", "").split():
            yield node


def _without_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines.pop()
    return lines
