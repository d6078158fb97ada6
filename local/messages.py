"""The catalogues of the pages' languages (`make messages`): collect messages, and compile their translations.

A message is found in templates and scripts, and in Python, as the first argument of the functions of `kit/languages.py`
or as the sentence of an error. `web/languages` holds the translations, and what pages and scripts read of them.
"""

import ast
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from opencode_cloud.contracts.permissions import Role
from opencode_cloud.contracts.usage import Outcome
from opencode_cloud.kit.languages import CONTEXT_MARK, ENGLISH, LANGUAGES
from opencode_cloud.workspaces.models import InvitationState

KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_noop": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_noop": ((1, "c"), 2),
}
"""Functions whose arguments are messages, and the positions of these, as Babel writes them."""
SHOWN_VALUES = (Role, Outcome, InvitationState)
"""Kinds whose values pages show as words."""
ERRORS = (
    "BadRequest",
    "Conflict",
    "Forbidden",
    "Gone",
    "NotFound",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
)
"""Errors whose second argument is a sentence that pages show."""
SHOWN_ERRORS = (
    "billing/models",
    "console",
    "contracts/access.py",
    "http/pages.py",
    "http/requests.py",
    "identity/pages.py",
    "identity/service",
    "kit/errors.py",
    "payments/models",
    "sharing/models.py",
    "sharing/routes/owner_forms.py",
    "sharing/service/access.py",
    "sharing/service/commenting.py",
    "sharing/service/owning.py",
    "workspaces",
)
"""Parts of the library whose errors pages show in the reader's language."""
FOREIGN = ("markdown-it.js", "highlight.js")
"""Scripts of others among our own."""
LIBRARY = "layers/core/opencode_cloud"
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
_CALL = re.compile(
    rf"\b(_|gettext|gettext_noop|ngettext|ngettext_noop|pgettext)\(\s*((?:{_LITERAL.pattern}(?:,\s*)?)+)"
)
_Found: TypeAlias = tuple[Path, str | None, str | tuple[str, ...]]
_WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)  # a time of writing would differ in each branch


def update(root: Path) -> None:
    """Add new messages to each catalogue, drop those that are gone, and write the compiled forms."""
    found = collect(root)
    for tag in LANGUAGES:
        if tag == ENGLISH:
            continue
        path = source(root, tag)
        known = read(path, tag)
        known.update(found, no_fuzzy_matching=True)
        known.obsolete.clear()
        path.write_bytes(written(known))
        for compiled, text in compiled_forms(root, tag).items():
            compiled.write_text(text)


def source(root: Path, tag: str) -> Path:
    """Return the file with the translations into a language."""
    return root / "web" / "languages" / f"{tag}.po"


def read(path: Path, tag: str) -> Catalog:
    """Read a catalogue; an empty one if there is no file yet."""
    content = path.read_bytes() if path.exists() else b""
    return read_po(BytesIO(content), locale=tag.replace("-", "_"))


def written(catalog: Catalog) -> bytes:
    """Return a catalogue as its file: without times and line numbers, which would differ in each branch."""
    catalog.project, catalog.version, catalog.fuzzy = "Opencode Cloud", "1", False
    catalog.creation_date = catalog.revision_date = _WRITTEN
    catalog.header_comment = "# Translations of the pages. `make messages` adds and removes messages."
    output = BytesIO()
    write_po(output, catalog, width=0, include_lineno=False, sort_by_file=True)
    return output.getvalue()


def collect(root: Path) -> Catalog:
    """Return all messages of templates, scripts and Python, each with the files that hold it."""
    catalog = Catalog()
    for path, context, message in chain(_by_babel(root), _of_scripts(root), _of_errors(root), _of_values(root)):
        catalog.add(message, locations=[(path.relative_to(root).as_posix(), 0)], context=context)
    return catalog


def _by_babel(root: Path) -> Iterator[_Found]:
    templates = ((path, "jinja2") for path in sorted((root / "web" / "templates").rglob("*.html")))
    modules = ((path, "python") for path in sorted((root / LIBRARY).rglob("*.py")))
    for path, method in chain(templates, modules):
        for _line, message, _comments, context in extract_from_file(method, path, KEYWORDS, (), {}):
            yield path, context, message


def _of_scripts(root: Path) -> Iterator[_Found]:
    for path in sorted((root / "web" / "static").glob("*.js")):
        if path.name not in FOREIGN:
            yield from ((path, context, message) for context, message in _in_script(path.read_text()))


def _of_errors(root: Path) -> Iterator[_Found]:
    for path in sorted((root / LIBRARY).rglob("*.py")):
        if path.relative_to(root / LIBRARY).as_posix().startswith(SHOWN_ERRORS):
            yield from ((path, None, sentence) for sentence in _sentences(path))


def _of_values(root: Path) -> Iterator[_Found]:
    for values in SHOWN_VALUES:
        path = root / "layers" / "core" / f"{values.__module__.replace('.', '/')}.py"
        yield from ((path, None, value.value) for value in values)


def _in_script(text: str) -> Iterator[tuple[str | None, str | tuple[str, ...]]]:
    """Yield contexts and messages of a script. Babel's own reader loses its way at the first regular expression."""
    for name, written_arguments in _CALL.findall(text):
        words = tuple(json.loads(each) for each in _LITERAL.findall(written_arguments))
        match name:
            case "pgettext":
                yield words[0], words[1]
            case "ngettext" | "ngettext_noop":
                yield None, words[:2]
            case _:
                yield None, words[0]


def _sentences(path: Path) -> Iterator[str]:
    """Yield the sentences of errors in a module. Leave out f-strings, which no catalogue can hold."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in ERRORS:
            continue
        match node.args:
            case [_, ast.Constant(value=str(sentence)), *_]:
                yield sentence
            case _:
                pass


def compiled_forms(root: Path, tag: str) -> dict[Path, str]:
    """Return the files that pages and scripts read of a catalogue, by path: all messages, and those of scripts."""
    catalog = read(source(root, tag), tag)
    everything: dict[str, str] = {}
    in_scripts: dict[str, str] = {}
    for message in catalog:
        translated = translation_of(message)
        if not message.id or not translated:
            continue
        text = message.id if isinstance(message.id, str) else message.id[0]
        key = f"{message.context}{CONTEXT_MARK}{text}" if message.context else text
        everything[key] = translated
        if any(name.endswith(".js") for name, _line in message.locations):
            in_scripts[key] = translated
    module = f"// Written by `make messages` from web/languages/{tag}.po.\n\nexport default {_json(in_scripts)}\n"
    return {
        root / "web" / "languages" / f"{tag}.json": _json(everything) + "\n",
        root / "web" / "static" / f"words-{tag}.js": module,
    }


def translation_of(message: Message) -> str:
    """Return the translation of a message; empty if it has none. Chinese has one form for all numbers."""
    found: Any = message.string
    return found if isinstance(found, str) else (found or ("",))[0]


def _json(words: dict[str, str]) -> str:
    return json.dumps(words, ensure_ascii=False, indent=1, sort_keys=True)
