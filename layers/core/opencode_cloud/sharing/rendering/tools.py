"""Tool calls as elements: a card for each kind of tool. `web/static/tools.js` has the same rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop, ngettext_noop
from opencode_cloud.sharing.rendering.blocks import Tool
from opencode_cloud.sharing.rendering.lenient import (
    JsonObject,
    array,
    decode,
    line,
    mapping,
    mappings,
    number,
    plain,
    text,
)
from opencode_cloud.sharing.rendering.nodes import Element, Node, element, span
from opencode_cloud.sharing.rendering.patches import FilePatch, files_of, patch_nodes, replacement
from opencode_cloud.sharing.rendering.prose import box, code_block, prose, web_link
from opencode_cloud.sharing.rendering.terminal import terminal

CONTEXT_TOOLS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "read": ngettext_noop("%(num)s read", "%(num)s reads"),
        "grep": ngettext_noop("%(num)s search", "%(num)s searches"),
        "glob": ngettext_noop("%(num)s search", "%(num)s searches"),
        "list": ngettext_noop("%(num)s list", "%(num)s lists"),
    }
)
"""Tools that only look. Neighbouring calls of them are shown as one, and counted by these words."""
EDITORS = frozenset({"edit", "multiedit", "patch", "apply_patch"})
TODO_TOOLS = ("todowrite", "todoread")
_OPEN = frozenset({*TODO_TOOLS, "question"})
_NUMBERED = re.compile(r"[ \t]{0,20}(\d{1,9})[|:] ?", re.ASCII)
_WRAPPER = re.compile(r"</?(?:file|content)>|<(?:path|type)>.{0,1000}</(?:path|type)>")
_EXTENSION = re.compile(r"\.([A-Za-z0-9_]{1,12})", re.ASCII)
_PROBLEMS = 3
_JSON = ('{"', "{\n", '["', "[{")
"""Beginnings of outputs that are shown as JSON."""


def tool_nodes(tool: Tool) -> list[Node]:
    """Return the card of a tool call, without its attachments."""
    changes = changes_of(tool)
    attributes = {"class": "tool", "data-status": tool.status, "data-tool": tool.name}
    if tool.name in _OPEN or tool.status in ("error", "rejected"):
        attributes["open"] = ""
    counts = line_counts(sum(each.additions for each in changes), sum(each.deletions for each in changes))
    summary = element("summary", {}, element("b", {}, tool.name), span("title", tool.title))
    summary.children.extend(counts if changes else [])
    summary.children.append(span("state", tool.state))
    body = _changed(tool, changes) if changes else _BODIES.get(tool.name, _anything)(tool)
    if tool.error:
        body.extend(terminal(text(tool.data.get("error")), "failure"))
    return [element("details", attributes, summary, *body)]


def _pre(name: str, words: str) -> list[Node]:
    return [element("pre", {"class": name, "tabindex": "0"}, words)] if words else []


def _output(tool: Tool) -> list[Node]:
    output = text(tool.data.get("output")) or text(mapping(tool.data.get("metadata")).get("output"))
    return terminal(output) if output else []


def _anything(tool: Tool) -> list[Node]:
    given = _pre("input", tool.input or plain(text(tool.data.get("raw"))))
    if tool.output.startswith(_JSON):
        return [*given, code_block(tool.output, "json")]
    return [*given, *_output(tool)]


def _read(tool: Tool) -> list[Node]:
    lines = [each for each in tool.output.split("\n") if not _WRAPPER.fullmatch(each)]
    while lines and not lines[-1]:
        lines.pop()
    numbers = [_NUMBERED.match(each) for each in lines]
    numbered = [each[found.end() :] for each, found in zip(lines, numbers, strict=True) if found]
    words = "\n".join(numbered if len(numbered) * 2 > len(lines) else lines)
    path = text(_given(tool).get("filePath")) or text(_given(tool).get("path"))
    return [code_block(words, extension(path))] if words else []


def _write(tool: Tool) -> list[Node]:
    content = plain(text(_given(tool).get("content")))
    shown: list[Node] = [code_block(content, extension(text(_given(tool).get("filePath"))))] if content else []
    return [*shown, *_problems(tool)] or _anything(tool)


def todos_of(tool: Tool) -> list[tuple[str, str]]:
    """Return the tasks of a list of todos: the status of each (done, in progress, cancelled, open) and its words."""
    found = _given(tool).get("todos") or mapping(tool.data.get("metadata")).get("todos")
    todos = mappings(found) or mappings(decode(text(tool.data.get("output")).encode()))
    return [
        (_TODO_STATUS.get(text(todo.get("status")), "open"), line(text(todo.get("content")), 1000)) for todo in todos
    ]


def _todos(tool: Tool) -> list[Node]:
    todos = todos_of(tool)
    if not todos:
        return _anything(tool)
    done = sum(status == "done" for status, _words in todos)
    items = (element("li", {"data-status": status}, box(status), f" {words}") for status, words in todos)
    bar = element("progress", {"max": str(len(todos)), "value": str(done), "aria-label": _("Tasks done")})
    return [
        element(
            "p", {"class": "todo-progress"}, bar, " " + _("%(done)s of %(total)s done", done=done, total=len(todos))
        ),
        element("ul", {"class": "todos"}, *items),
    ]


_TODO_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "completed": gettext_noop("done"),
        "in_progress": gettext_noop("in progress"),
        "cancelled": gettext_noop("cancelled"),
        "pending": gettext_noop("open"),
    }
)


def _task(tool: Tool) -> list[Node]:
    given = _given(tool)
    agent = line(text(given.get("subagent_type")), 64)
    prompt = plain(text(given.get("prompt")))
    shown: list[Node] = [element("p", {"class": "note"}, _("Sub-agent: %(agent)s", agent=agent))] if agent else []
    if prompt:
        task = element("summary", {}, _("Its task"))
        shown.append(element("details", {"class": "more"}, task, element("div", {"class": "prose"}, *prose(prompt))))
    return [*shown, *_document(tool)]


def _document(tool: Tool) -> list[Node]:
    return [element("div", {"class": "prose document", "tabindex": "0"}, *prose(tool.output))] if tool.output else []


def _web(tool: Tool) -> list[Node]:
    url = line(text(_given(tool).get("url")), 2000)
    shown: list[Node] = [element("p", {"class": "note"}, web_link(url))] if url else []
    return [*shown, *_document(tool)]


def _questions(tool: Tool) -> list[Node]:
    answers = array(mapping(tool.data.get("metadata")).get("answers"))
    asked = mappings(_given(tool).get("questions"))
    if not asked:
        return _anything(tool)
    shown: list[Node] = []
    for position, question in enumerate(asked):
        given = array(answers[position]) if position < len(answers) else []
        chosen = [line(answer) for answer in given if isinstance(answer, str)]
        options = [line(text(option.get("label"))) for option in mappings(question.get("options"))]
        items = [_choice(option, chosen=option in chosen) for option in options]
        items += [_choice(answer, chosen=True) for answer in chosen if answer not in options]
        words = line(text(question.get("question")), 1000)
        shown.append(
            element("div", {"class": "question"}, element("p", {}, words), element("ul", {"class": "todos"}, *items))
        )
    return shown if answers else [*shown, *_output(tool)]


def _choice(label: str, *, chosen: bool) -> Element:
    status = gettext_noop("chosen") if chosen else gettext_noop("not chosen")
    return element("li", {"data-status": status}, box(status), f" {label}")


def changes_of(tool: Tool) -> list[FilePatch]:
    """Return the changes of files that a call made or wants to make. A file without a name has an empty one."""
    metadata = mapping(tool.data.get("metadata"))
    files = [change for each in mappings(metadata.get("files")) for change in _change(each)]
    patches = [text(metadata.get("diff")), *(text(each.get("diff")) for each in mappings(metadata.get("results")))]
    changes = files or [change for patch in patches if patch for change in files_of(plain(patch))]
    if tool.name in EDITORS and not changes:
        changes = _wanted(_given(tool))
    name = line(text(_given(tool).get("filePath")), 400)
    for change in changes:
        change.file = change.file or name
    return changes


def _change(each: JsonObject) -> list[FilePatch]:
    name = line(text(each.get("relativePath")) or text(each.get("filePath")) or text(each.get("file")), 400)
    found = files_of(plain(text(each.get("diff")) or text(each.get("patch"))))
    before, after = plain(text(each.get("before"))), plain(text(each.get("after")))
    if not found and (before or after):
        found = [replacement(name, before, after)]
    for change in found:
        change.file = name or change.file
    return found


def _wanted(given: JsonObject) -> list[FilePatch]:
    """Return the changes that the arguments of an editing tool ask for."""
    edits = [given, *mappings(given.get("edits"))]
    pairs = [(plain(text(edit.get("oldString"))), plain(text(edit.get("newString")))) for edit in edits]
    found = [replacement("", before, after) for before, after in pairs if before or after]
    patch = text(given.get("patchText"))
    return found or (files_of(plain(patch)) if patch else [])


def _changed(tool: Tool, changes: Sequence[FilePatch]) -> list[Node]:
    if len(changes) == 1:
        [change] = changes
        return [*patch_nodes(change.lines, extension(change.file), change.file), *_problems(tool)]
    return [*(change_node(each) for each in changes), *_problems(tool)]


def change_node(change: FilePatch, status: str = "", additions: int = -1, deletions: int = -1) -> Element:
    """Return the change of a file, folded. Numbers below zero stand for those of its lines."""
    summary = element(
        "summary",
        {},
        element("b", {}, change.file or _("unnamed file")),
        span("status", _(status or change.status)),
        *line_counts(
            change.additions if additions < 0 else additions, change.deletions if deletions < 0 else deletions
        ),
    )
    patch = patch_nodes(change.lines, extension(change.file), change.file)
    return element("details", {"class": "change"}, summary, *patch)


def line_counts(additions: int, deletions: int) -> list[Node]:
    """Return how many lines a change adds and removes."""
    return [span("plus", f"+{additions}"), span("minus", f"\N{MINUS SIGN}{deletions}")]


def _problems(tool: Tool) -> list[Node]:
    """Return the first errors that the language server found afterwards."""
    diagnostics = mapping(mapping(tool.data.get("metadata")).get("diagnostics"))
    found = [each for listed in diagnostics.values() for each in mappings(listed) if each.get("severity") == 1]
    items = (
        element(
            "li",
            {},
            _(
                "Line %(line)s: %(words)s",
                line=int(number(_start(each).get("line")) or 0) + 1,
                words=line(text(each.get("message"))),
            ),
        )
        for each in found[:_PROBLEMS]
    )
    return [element("ul", {"class": "problems"}, *items)] if found else []


def _start(problem: JsonObject) -> JsonObject:
    return mapping(mapping(problem.get("range")).get("start"))


def _given(tool: Tool) -> JsonObject:
    return mapping(tool.data.get("input"))


def extension(path: str) -> str:
    """Return the extension of a file's name, in small letters; empty without one."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    found = _EXTENSION.fullmatch(name[dot:]) if dot >= 0 else None
    return found[1].lower() if found else ""


def _shell(tool: Tool) -> list[Node]:
    return [*_pre("input", tool.input), *_output(tool)]


_BODIES: Mapping[str, Callable[[Tool], list[Node]]] = MappingProxyType(
    {
        "bash": _shell,
        "read": _read,
        "write": _write,
        "todowrite": _todos,
        "todoread": _todos,
        "task": _task,
        "webfetch": _web,
        "websearch": _document,
        "codesearch": _document,
        "question": _questions,
    }
)
