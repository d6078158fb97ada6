"""Changes of configuration files: planned, shown, written with a backup, and taken back."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opencode_cloud_connect.errors import NotEditable
from opencode_cloud_connect.formats import ABSENT, FORMATS
from opencode_cloud_connect.formats.values import as_list, as_object

PRIVATE = 0o600
"""The mode of files with a secret: only their owner reads them."""
PRIVATE_FOLDER = 0o700
_SENSITIVE = re.compile(r"(key|token|secret|password|credential)", re.IGNORECASE)
_TOKEN = re.compile(
    r"""(?P<name>"(?:[^"\\]|\\.)*"|'[^']*')(?=\s*[:=])"""
    r"""|(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')"""
    r"""|[:=]\s*(?:true|false|null|-?[\d.]+)(?=\s*(?:,\s*(?:["}\]]|$)|[}\]]|$))"""
    r"""|(?P<before>[:=]\s*)(?P<rest>(?:[^\s"'{\[]|\[(?=[^\s"'{\[\]])).*)"""
    r"""|(?P<unclosed>["'].*)"""
)
"""A member's name, a text in quotation marks, a number or a constant, a bare value, a text of several lines."""
_OUR_SECRET = re.compile(r"oc_sk_[\w-]{8,}")


@dataclass(frozen=True)
class Edit:
    """A value to put at a path. With ``merge``, the value is computed from the one before (or ``ABSENT``)."""

    path: tuple[str, ...]
    value: Any = None
    merge: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Change:
    """The edits of one file."""

    path: Path
    format: str
    """A name of ``FORMATS``."""
    edits: tuple[Edit, ...]
    private: bool = True
    """True if the file has a secret afterwards."""


@dataclass
class Undo:
    """The reverse of one edit. ``before`` is ``ABSENT`` where the member did not exist."""

    path: list[str]
    before: Any
    after: Any
    kept: int
    """The number of names of ``path`` that existed before. Objects below are removed when they are empty again."""


@dataclass
class Planned:
    """A file as it is, and as it will be."""

    change: Change
    before: bytes | None
    """None: the file does not exist."""
    mode: int | None
    after: bytes
    undos: list[Undo] = field(default_factory=list[Undo])


def present(path: Path) -> tuple[bytes | None, int | None]:
    """Return the contents and the mode of a file; None for one that does not exist."""
    return (path.read_bytes(), path.stat().st_mode & 0o777) if path.exists() else (None, None)


def plan(change: Change, before: bytes | None, mode: int | None) -> Planned:
    """Compute a change of the contents ``before``. Raises :class:`NotEditable`, which names the file."""
    path = change.path
    form = FORMATS[change.format]
    undos: list[Undo] = []
    try:
        text, encode = _decoded(before or b"")
        for edit in change.edits:
            known = form.read(text, edit.path)
            value = edit.merge(known) if edit.merge else edit.value
            undos.append(Undo(list(edit.path), known, value, _depth(change.format, text, edit.path)))
            text = form.put(text, edit.path, value)
    except NotEditable as error:
        raise NotEditable(f"{path} cannot be changed: {error.message}.") from error
    return Planned(change, before, mode, encode(text), undos)


def _decoded(content: bytes) -> tuple[str, Callable[[str], bytes]]:
    r"""Return a text with the line ends ``\n``, and the function that gives it the file's own form again.

    Editors of Windows write a byte order mark, and the line ends ``\r\n``. A file with both kinds of line ends keeps
    them. Raises :class:`NotEditable` for another encoding.
    """
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    try:
        text = content.removeprefix(mark).decode()
    except UnicodeDecodeError as error:
        raise NotEditable("it is not UTF-8. Save it as UTF-8, and try again") from error
    ends = "\r\n" if 0 < text.count("\r\n") == text.count("\n") else "\n"
    return text.replace(ends, "\n"), lambda changed: mark + changed.replace("\n", ends).encode()


def difference(planned: Planned) -> str:
    """Return how the file on the disk changes, as a unified difference without unchanged lines.

    Secrets are masked, and all values but those that we write and those that they replace.
    """
    known = present(planned.change.path)[0]
    before, after = ((content or b"").decode(errors="replace") for content in (known, planned.after))
    old = "/dev/null" if known is None else str(planned.change.path)
    lines = list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), old, str(planned.change.path), n=0, lineterm="")
    )
    shown = set(_shown(planned.undos))
    return "\n".join([*lines[:2], *(masked(line, shown) for line in lines[2:])])


def masked(line: str, shown: Collection[str]) -> str:
    """Return a line of a file with no values but numbers, constants and those in ``shown``."""

    def mask(match: re.Match[str]) -> str:
        value = match["quoted"] or match["rest"] or match["unclosed"]
        if value is None:
            return match[0]
        if value.strip().strip("\"'") not in shown:
            return (match["before"] or "") + '"***"'
        return _OUR_SECRET.sub(lambda secret: f"oc_sk_...{secret[0][-4:]}", match[0])

    return _TOKEN.sub(mask, line)


def _shown(undos: Iterable[Undo]) -> Iterator[str]:
    """Yield the texts that we write, and those that they replace if their members are not named like secrets."""
    for undo in undos:
        yield from set(_texts(undo.after)) - set(_texts(undo.before))
        if isinstance(undo.before, str) and not _SENSITIVE.search(undo.path[-1]):
            yield from _texts(undo.before)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts within a value, without quotation marks. A text of several lines has its quoted parts."""
    if isinstance(value, str):
        yield value.strip("\"'")
        yield from re.findall(r'"([^"\n]*)"', value)
    for each in [*as_list(value), *as_object(value).values()]:
        yield from _texts(each)


def write(planned: Planned) -> None:
    """Write a planned change. A file with a secret becomes private."""
    mode = PRIVATE if planned.change.private or planned.mode is None else planned.mode
    replace(planned.change.path, planned.after, mode)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step, with ``mode`` from its beginning. A link stays, and its target is replaced."""
    target = Path(os.path.realpath(path))
    make_folder(target.parent)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def make_folder(folder: Path) -> None:
    """Create a folder and those above it. New ones are private."""
    for each in reversed([folder, *folder.parents]):
        each.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def taken_back(path: Path, content: bytes, format_: str, undos: Sequence[Undo]) -> tuple[bytes, list[str]]:
    """Take edits back in a file that changed since. Return the contents, and the members that the person changed.

    Raises :class:`NotEditable`, which names the file.
    """
    form, left = FORMATS[format_], list[str]()
    try:
        text, encode = _decoded(content)
        for undo in reversed(undos):
            if form.read(text, undo.path) != undo.after:
                left.append(".".join(undo.path))
            elif undo.before is not ABSENT:
                text = form.put(text, undo.path, undo.before)
            else:
                text = form.drop(text, undo.path)
                for length in range(len(undo.path) - 1, undo.kept, -1):
                    if form.read(text, undo.path[:length]) == {}:
                        text = form.drop(text, undo.path[:length])
    except NotEditable as error:
        raise NotEditable(f"{path} cannot be restored: {error.message}.") from error
    return encode(text), left


def _depth(format_: str, text: str, path: Sequence[str]) -> int:
    """Return how many names of ``path`` exist. Only objects of JSON are made one by one."""
    if format_ != "json":
        return len(path)
    lengths: Iterable[int] = range(len(path), 0, -1)
    return next((length for length in lengths if FORMATS[format_].read(text, path[:length]) is not ABSENT), 0)
