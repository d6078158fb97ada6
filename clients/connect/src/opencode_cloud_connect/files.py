"""Changes of configuration files: planned, shown, written with a backup, and taken back."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
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
_VALUE = re.compile(r"""([:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,}"']+)""")
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
        text = (before or b"").decode()
        for edit in change.edits:
            known = form.read(text, edit.path)
            value = edit.merge(known) if edit.merge else edit.value
            undos.append(Undo(list(edit.path), known, value, _depth(change.format, text, edit.path)))
            text = form.put(text, edit.path, value)
    except UnicodeDecodeError as error:
        raise NotEditable(f"{path} is not UTF-8.") from error
    except NotEditable as error:
        raise NotEditable(f"{path} cannot be changed: {error.message}.") from error
    return Planned(change, before, mode, text.encode(), undos)


def difference(planned: Planned) -> str:
    """Return how the file on the disk changes, as a unified difference.

    Secrets are masked: ours, and values of members that are named like one. In a file with secrets, all values are
    masked but those that we write.
    """
    known = present(planned.change.path)[0]
    before, after = ((content or b"").decode(errors="replace") for content in (known, planned.after))
    old = "/dev/null" if known is None else str(planned.change.path)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), old, str(planned.change.path), "", "", 2, "")
    ours = [text for undo in planned.undos for text in _texts(undo.after)] if planned.change.private else None
    return "\n".join(line if line.startswith(("---", "+++", "@@")) else masked(line, ours) for line in lines)


def masked(line: str, ours: Sequence[str] | None = None) -> str:
    """Return a line of a file without secrets. With ``ours``, only lines with one of these values show values."""
    line, keys = _OUR_SECRET.subn(lambda match: f"oc_sk_...{match[0][-4:]}", line)
    name, separator, _ = line.partition(":") if ":" in line.split("=")[0] else line.partition("=")
    hide = _SENSITIVE.search(name) if ours is None else not any(text in line for text in ours)
    if separator and hide and not keys:
        return _VALUE.sub(lambda match: match[1] + _hidden(match[2]), line)
    return line


def _texts(value: Any) -> Iterable[str]:
    """Yield the texts within a value."""
    if isinstance(value, str):
        yield value
    for each in [*as_list(value), *as_object(value).values()]:
        yield from _texts(each)


def _hidden(value: str) -> str:
    """Mask a value. Names of variables and files are no secrets."""
    plain = value.strip("\"'")
    if plain.startswith(("{file:", "{env:", "$")) or re.fullmatch(r"[A-Z][A-Z0-9_]*|true|false|null|\d*", plain):
        return value
    return '"***"'


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


def taken_back(text: str, format_: str, undos: Sequence[Undo]) -> tuple[str, list[str]]:
    """Take edits back in a file that changed since. Return the text, and the members that the person changed."""
    form, left = FORMATS[format_], list[str]()
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
    return text, left


def _depth(format_: str, text: str, path: Sequence[str]) -> int:
    """Return how many names of ``path`` exist. Only objects of JSON are made one by one."""
    if format_ != "json":
        return len(path)
    lengths: Iterable[int] = range(len(path), 0, -1)
    return next((length for length in lengths if FORMATS[format_].read(text, path[:length]) is not ABSENT), 0)
