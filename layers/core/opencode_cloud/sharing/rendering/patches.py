"""Patches in the unified format, read line by line and shown with line numbers and marked words.

`web/static/patches.js` has the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from opencode_cloud.kit.languages import ngettext
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.sharing.rendering.nodes import Element, Node, element

FOLDED, HEAD = 400, 200
"""Lines from which a change is folded, and the lines that are shown of it."""
CONTEXT = 3
_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_]+|[^A-Za-z0-9_]")
_LONGEST_LINE = 1_000  # characters of a line whose words are compared
_NOTHING = "/dev/null"
_ENVELOPE = re.compile(r"\*\*\* (Add|Update|Delete) File: (.{1,400})")


class PatchLine(msgspec.Struct):
    """A line of a change: ``kind`` is added, removed, hunk, or empty for context. 0 is no line number."""

    kind: str
    old: int
    new: int
    text: str


class FilePatch(msgspec.Struct):
    """The change of one file. ``file`` is empty if the patch does not name it."""

    file: str = ""
    status: str = "modified"
    lines: list[PatchLine] = msgspec.field(default_factory=list[PatchLine])

    @property
    def additions(self) -> int:
        """Return the number of added lines."""
        return sum(line.kind == "added" for line in self.lines)

    @property
    def deletions(self) -> int:
        """Return the number of removed lines."""
        return sum(line.kind == "removed" for line in self.lines)


class _Reader:
    def __init__(self) -> None:
        self.files: list[FilePatch] = []
        self._old = self._new = 0
        self._old_left = self._new_left = 0  # lines of the present hunk; -1 for a hunk without numbers
        self._git = False

    def read(self, line: str) -> None:
        if (self._old_left > 0 or self._new_left > 0) and line[:1] in ("+", "-", " ", "\\", ""):
            self._content(line)
        elif line.startswith("@@"):
            self._hunk(line)
        elif line.startswith(("Index: ", "diff ")):
            self._begin(line.partition(" ")[2] if line.startswith("Index: ") else "", git=line.startswith("diff "))
        elif line.startswith("*** "):
            self._envelope(line)
        elif line.startswith(("--- ", "+++ ")) and self._old_left >= 0:
            self._name(line)
        elif self._old_left < 0:
            self._content(line)

    def _envelope(self, line: str) -> None:
        """Read a line of the envelope of ``apply_patch``; only those that name a file matter."""
        found = _ENVELOPE.fullmatch(line)
        if found:
            self._begin(found[2], git=False)
            self._present().status = {"Add": gettext_noop("added"), "Delete": gettext_noop("deleted")}.get(
                found[1], gettext_noop("modified")
            )
            self._old_left = self._new_left = -1

    def _begin(self, name: str, *, git: bool) -> None:
        self.files.append(FilePatch(name.strip(" ")))
        self._git = git
        self._old_left = self._new_left = self._old = self._new = 0

    def _present(self) -> FilePatch:
        if not self.files:
            self._begin("", git=False)
        return self.files[-1]

    def _name(self, line: str) -> None:
        name = line[4:].partition("\t")[0].strip(" ")
        before = line.startswith("---")
        if not self.files or (before and self.files[-1].lines):
            self._begin("", git=False)
        if name == _NOTHING:
            self.files[-1].status = "added" if before else "deleted"
            return
        shown = name[2:] if self._git and name.startswith(("a/", "b/")) else name
        if not before or not self.files[-1].file:
            self.files[-1].file = shown

    def _hunk(self, line: str) -> None:
        found = _HUNK.match(line)
        present = self._present()
        present.lines.append(PatchLine("hunk", 0, 0, line))
        if not found:
            self._old = self._new = 0
            self._old_left = self._new_left = -1
            return
        self._old, self._new = int(found[1]), int(found[3])
        self._old_left, self._new_left = int(found[2] or "1"), int(found[4] or "1")

    def _content(self, line: str) -> None:
        numbered = self._old_left >= 0
        mark = line[:1]
        if mark == "\\":  # no line end at the end of the file
            return
        kind = {"+": "added", "-": "removed"}.get(mark, "")
        old = self._old if numbered and kind != "added" else 0
        new = self._new if numbered and kind != "removed" else 0
        text = line[1:] if mark in ("+", "-", " ") else line
        self._present().lines.append(PatchLine(kind, old, new, text))
        if numbered and kind != "added":
            self._old, self._old_left = self._old + 1, max(0, self._old_left - 1)
        if numbered and kind != "removed":
            self._new, self._new_left = self._new + 1, max(0, self._new_left - 1)


def files_of(patch: str) -> list[FilePatch]:
    """Read a patch, also one without numbers and one in the envelope of ``apply_patch``. Never raises."""
    reader = _Reader()
    for line in patch.rstrip("\n").split("\n"):
        reader.read(line)
    return [file for file in reader.files if file.file or file.lines]


def replacement(file: str, before: str, after: str) -> FilePatch:
    """Return the change from one text to another: all that lies between their common beginning and end."""
    old, new = _split(before), _split(after)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    first = max(0, head - CONTEXT)
    lines = [PatchLine("", at + 1, at + 1, old[at]) for at in range(first, head)]
    lines += [PatchLine("removed", at + 1, 0, old[at]) for at in range(head, len(old) - tail)]
    lines += [PatchLine("added", 0, at + 1, new[at]) for at in range(head, len(new) - tail)]
    for step in range(min(CONTEXT, tail)):
        at = len(old) - tail + step
        lines.append(PatchLine("", at + 1, len(new) - tail + step + 1, old[at]))
    return FilePatch(file, "added" if not before and after else "modified", lines)


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    length = min(len(one), len(other))
    return next((at for at in range(length) if one[at] != other[at]), length)


def patch_nodes(lines: Sequence[PatchLine], language: str = "", file: str = "") -> list[Node]:
    """Return the elements of a change of ``file`` in ``language``. Fold a long one, and count its hidden lines."""
    if not lines:
        return []
    shown = list(_lines(lines))
    if len(shown) <= FOLDED:
        return [_pre(shown, language, file)]
    hidden = shown[HEAD:]
    summary = element("summary", {}, ngettext("%(num)s line hidden", "%(num)s lines hidden", len(hidden)))
    more = element("details", {"class": "more"}, summary, _pre(hidden, language, file))
    return [_pre(shown[:HEAD], language, file), more]


def _pre(lines: Sequence[Element], language: str, file: str) -> Element:
    attributes = {"class": "patch", "tabindex": "0", "data-file": file}
    if language:
        attributes["data-language"] = language
    return element("pre", attributes, *lines)


def _lines(lines: Sequence[PatchLine]) -> Iterator[Element]:
    """Make the elements of lines; words that differ between a removed and an added line are marked."""
    at = 0
    while at < len(lines):
        removed = _run(lines, at, "removed")
        added = _run(lines, at + removed, "added")
        if not removed and not added:
            yield _line(lines[at], [lines[at].text])
            at += 1
            continue
        pairs = min(removed, added)
        marked = [_marked(lines[at + n].text, lines[at + removed + n].text) for n in range(pairs)]
        for n in range(removed):
            yield _line(lines[at + n], marked[n][0] if n < pairs else [lines[at + n].text])
        for n in range(added):
            line = lines[at + removed + n]
            yield _line(line, marked[n][1] if n < pairs else [line.text])
        at += removed + added


def _run(lines: Sequence[PatchLine], at: int, kind: str) -> int:
    end = at
    while end < len(lines) and lines[end].kind == kind:
        end += 1
    return end - at


_SIGNS = {"added": "+", "removed": "-", "hunk": "", "": " "}


def _line(line: PatchLine, words: list[Node]) -> Element:
    attributes = {"class": f"line {line.kind}".rstrip(" ")}
    if line.old:
        attributes["data-old"] = str(line.old)
    if line.new:
        attributes["data-new"] = str(line.new)
    return element("span", attributes, _SIGNS[line.kind], *words, "\n")


def _marked(before: str, after: str) -> tuple[list[Node], list[Node]]:
    """Mark the words in which two lines differ, unless they have little in common."""
    if max(len(before), len(after)) > _LONGEST_LINE:
        return [before], [after]
    old, new = _WORD.findall(before), _WORD.findall(after)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    common = _solid(old[:head]) + _solid(old[len(old) - tail :])
    if common * 3 < max(_solid(old), _solid(new)):
        return [before], [after]
    return _with_mark(old, head, tail), _with_mark(new, head, tail)


def _solid(words: Sequence[str]) -> int:
    """Count the words that are no space."""
    return sum(word not in " \t" for word in words)


def _with_mark(words: Sequence[str], head: int, tail: int) -> list[Node]:
    middle = "".join(words[head : len(words) - tail])
    if not middle:
        return ["".join(words)]
    return ["".join(words[:head]), element("mark", {}, middle), "".join(words[len(words) - tail :])]
