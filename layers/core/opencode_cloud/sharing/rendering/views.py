"""Blocks as elements. `web/static/views.js` has the same rules."""

from __future__ import annotations

from collections.abc import Iterable

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.languages import ngettext
from opencode_cloud.sharing.rendering.blocks import Block, Diff, File, Note, Reasoning, Text, Tool, Unknown
from opencode_cloud.sharing.rendering.lenient import JsonObject, mapping, text
from opencode_cloud.sharing.rendering.nodes import Node, element
from opencode_cloud.sharing.rendering.patches import FilePatch, files_of, replacement
from opencode_cloud.sharing.rendering.prose import code_block, prose
from opencode_cloud.sharing.rendering.tools import CONTEXT_TOOLS, change_node, tool_nodes


def block_nodes(block: Block) -> list[Node]:
    """Return the elements of a block."""
    match block:
        case Text():
            return [element("div", {"class": "prose"}, *prose(block.text, finished=block.finished))]
        case Reasoning():
            words = element("div", {"class": "prose"}, *prose(block.text, finished=block.finished))
            return [element("details", {"class": "thinking"}, element("summary", {}, _("Thinking")), words)]
        case File():
            return [attachment(block)]
        case Tool():
            return [*tool_nodes(block), *(attachment(each) for each in block.attachments)]
        case Note():
            return [_note(block)]
        case Unknown():
            summary = element("summary", {}, _("Part of type %(type)s", type=block.type))
            return [element("details", {"class": "unknown"}, summary, code_block(block.json, "json"))]


def _note(note: Note) -> Node:
    if not note.target:
        return element("p", {"class": "note"}, note.text)
    return element("p", {"class": "note"}, element("a", {"href": f"#{message_anchor(note.target)}"}, note.text))


def message_anchor(message_id: str) -> str:
    """Return the id of a message's element. The prefix keeps ids of the content apart from those of the page."""
    return f"m-{message_id}"


def part_anchor(key: str) -> str:
    """Return the id of the element of the part with this identity key."""
    return f"p-{key.partition('/')[2]}"


def part_link(key: str) -> Node:
    """Return the link to a part."""
    about = {"class": "anchor", "href": f"#{part_anchor(key)}", "aria-label": _("Link to this part"), "tabindex": "-1"}
    return element("a", about, "#")


def session_of(part: JsonObject) -> str:
    """Return the id of the session that a part started for a sub-agent, as readers see it; empty if there is none."""
    state = mapping(part.get("state"))
    return text(mapping(state.get("metadata")).get("sessionId")) if part.get("tool") == "task" else ""


def session_link(session: str, href: str) -> Node:
    """Return the link to the share of a sub-agent's session."""
    link = element("a", {"class": "session", "href": href, "data-session": session}, _("Session of the sub-agent"))
    return element("p", {"class": "note"}, link)


def attachment(file: File) -> Node:
    """Return a file: a picture that can be enlarged, or its name."""
    caption = element("figcaption", {}, file.caption)
    if not file.image:
        return element("figure", {}, caption)
    image = element("img", {"src": file.image, "alt": file.name})
    button = element(
        "button", {"class": "zoom", "type": "button", "aria-label": _("Enlarge %(name)s", name=file.name)}, image
    )
    return element("figure", {}, button, caption)


def changes_nodes(diffs: Iterable[Diff]) -> list[Node]:
    """Return the changes of a session or a message, one folded element for each file."""
    return [change_node(patch_of(diff), diff.status, diff.additions, diff.deletions) for diff in diffs]


def patch_of(diff: Diff) -> FilePatch:
    """Return a change as its lines."""
    if not diff.patch:
        return replacement(diff.file, diff.before, diff.after)
    return FilePatch(diff.file, diff.status, [line for file in files_of(diff.patch) for line in file.lines])


def is_context(block: Block | None) -> bool:
    """Tell whether a part only looks at files, so that neighbours of its kind are shown as one."""
    return isinstance(block, Tool) and block.name in CONTEXT_TOOLS


def context_title(tools: Iterable[str]) -> str:
    """Count the calls of tools that only look, in the order of their first appearance."""
    counts: dict[tuple[str, str], int] = {}
    for name in tools:
        words = CONTEXT_TOOLS[name]
        counts[words] = counts.get(words, 0) + 1
    return ", ".join(ngettext(one, many, number) for (one, many), number in counts.items())
