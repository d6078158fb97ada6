"""Catalogues of the pages' languages: complete, current, and with the same placeholders and elements as the English."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from jinja2 import Environment, nodes

from local import messages
from opencode_cloud.http import pages
from opencode_cloud.kit.languages import ENGLISH, LANGUAGES

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "web" / "templates"
TRANSLATED = [tag for tag in LANGUAGES if tag != ENGLISH]
NAMES = {
    "opencode",
    "Opencode Cloud",
    "Opencode",
    "Cloud",
    "API",
    "JSON",
    "Markdown",
    "UTC",
    "j",
    "k",
    "g",
    "G",
    "e",
    "c",
    "y",
}
"""Words that are the same in every language."""

Key = tuple[str | None, str]


@lru_cache(maxsize=1)
def found() -> Catalog:
    return messages.collect(ROOT)


@lru_cache(maxsize=2)
def known(tag: str) -> Catalog:
    return messages.read(messages.source(ROOT, tag), tag)


def keys_of(catalog: Catalog) -> set[Key]:
    return {
        (message.context, message.id if isinstance(message.id, str) else message.id[0])
        for message in catalog
        if message.id
    }


def pairs(tag: str) -> list[tuple[str, str]]:
    """Return each message, in its form for many, and its translation."""
    return [
        (
            message.id if isinstance(message.id, str) else message.id[1],
            messages.translation_of(message),
        )
        for message in known(tag)
        if message.id
    ]


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_message_is_in_the_catalogue_and_translated(tag: str) -> None:
    assert keys_of(found()) - keys_of(known(tag)) == set(), "run `make messages`, and translate what it added"
    assert keys_of(known(tag)) - keys_of(found()) == set(), "run `make messages`"
    assert [message for message, translation in pairs(tag) if not translation] == []
    assert not any(message.fuzzy for message in known(tag) if message.id)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_the_compiled_forms_are_current(tag: str) -> None:
    for path, text in messages.compiled_forms(ROOT, tag).items():
        assert path.read_text() == text, "run `make messages`"


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_translation_has_the_placeholders_and_elements_of_its_message(tag: str) -> None:
    def parts(text: str) -> Counter[str]:
        return Counter(re.findall(r"%\(\w+\)s|%%|\{\w+\}|</?[a-z][^>]*>|`[^`]+`", text))

    assert [(message, text) for message, text in pairs(tag) if parts(message) != parts(text)] == []


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_translation_stays_within_an_attribute(tag: str) -> None:
    """Messages are written into pages as they are, and many of them into attributes."""
    marks = re.compile(r"[<>\"&]")
    assert [text for message, text in pairs(tag) if not marks.search(message) and marks.search(text)] == []


@pytest.mark.parametrize("tag", TRANSLATED)
def test_every_placeholder_is_filled(tag: str) -> None:
    """A percent sign that begins no placeholder is doubled where values are filled in, and only there."""
    for message, text in pairs(tag):
        for each in (message, text):
            if re.search(r"%\(", each):
                assert each % Counter(re.findall(r"%\((\w+)\)s", each)), each
            else:
                assert "%%" not in each


def prose_of(template: str) -> list[str]:
    """Return the text of a template that readers see, without Jinja."""
    text = re.sub(r"\{#.*?#\}|<(script|style|pre)\b.*?</\1>", "", template, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "\0", text, flags=re.DOTALL)
    shown = re.findall(r"(?<=>)[^<>]+(?=<)", text)
    shown += re.findall(r'\b(?:aria-label|alt|title|data-label)="([^"]*)"', text)
    shown += [words for words in re.findall(r'\bplaceholder="([^"]*)"', text) if re.match("[A-Z]", words)]
    return [part.strip() for words in shown for part in re.split("\0|\n|·", words)]


@pytest.mark.parametrize(
    "path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.relative_to(TEMPLATES).as_posix()
)
def test_every_word_of_a_template_can_be_translated(path: Path) -> None:
    words = [part for part in prose_of(path.read_text()) if re.search("[A-Za-z]{2}", re.sub(r"&\w+;", "", part))]
    assert [part for part in words if part not in NAMES and not re.fullmatch("[A-Z]{4}-[A-Z]{4}", part)] == []


def literals_of(node: nodes.Node, *, is_shown: bool = False) -> Iterator[str]:
    """Yield the literals of a template's expressions that are words: sentences, and values of a mapping of words.

    Names of fields, classes and permissions have no blanks and begin with a small letter.
    """
    match node:
        case nodes.Extends() | nodes.Include() | nodes.FromImport() | nodes.Compare():
            return
        case nodes.Call(node=nodes.Name(name="_" | "ngettext" | "pgettext")):
            children: Iterable[nodes.Node] = node.kwargs
        case nodes.Pair():
            children, is_shown = [node.value], True
        case nodes.Const(value=str() as text):
            if re.search(r"^[A-Z][a-z]|[a-z] [a-z]|^e?s$", text) or (is_shown and re.search("[a-z]", text)):
                yield text
            return
        case _:
            children = node.iter_child_nodes()
    for child in children:
        yield from literals_of(child, is_shown=is_shown)


@lru_cache(maxsize=1)
def parser() -> Environment:
    """Return an environment with all filters of our templates."""
    found = pages.environment().overlay()
    found.filters = defaultdict(lambda: str, found.filters)  # shares have filters of their own
    return found


@pytest.mark.parametrize(
    "path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.relative_to(TEMPLATES).as_posix()
)
def test_every_word_in_an_expression_can_be_translated(path: Path) -> None:
    assert [*literals_of(parser().parse(path.read_text()))] == []


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ('{{ "Add credit" if may("billing:manage") else _("Payments") }}', ["Add credit"]),
        ('{% set states = {"open": "open", "paid": _("paid")} %}', ["open"]),
        ('{{ each.model or "other calls" }}', ["other calls"]),
        ('{{ number }} call{{ "" if number == 1 else "s" }}', ["s"]),
        ('{{ button(here ~ "/retry", "Retry", "main") }}', ["Retry"]),
    ],
)
def test_a_word_in_an_expression_is_found(expression: str, words: list[str]) -> None:
    assert [*literals_of(parser().parse(expression))] == words


def test_templates_translate_literals_only() -> None:
    """A value that is translated by `_` would reach the page unescaped; the filter `translated` is for values."""
    call = re.compile(r"(?<![\w.])(?:_|ngettext|pgettext)\((?!['\"])")
    assert [path.name for path in TEMPLATES.rglob("*.html") if call.search(path.read_text())] == []


def test_a_new_message_is_found(tmp_path: Path) -> None:
    for folder in ("web/templates", "web/static", messages.LIBRARY + "/console"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "web/templates/new.html").write_text(
        "{{ _('Hello %(name)s', name=name) }}{{ pgettext('verb', 'Open') }}"
    )
    (tmp_path / "web/static/new.js").write_text(
        'const ends = /["\'`]/; say(_("Bye")); ngettext("%(num)s dog", "%(num)s dogs", 2)'
    )
    errors = 'raise NotFound("code", "Nothing here.")\nraise NotFound("code", f"No {x}.")\n'
    errors += 'raise Unprocessable("code", "At most %(most)s.", {"most": most})\n'
    (tmp_path / messages.LIBRARY / "console" / "new.py").write_text(f'_("Morning")\n{errors}')
    values = {value.value for values in messages.SHOWN_VALUES for value in values}
    sentences = ("Hello %(name)s", "Bye", "%(num)s dog", "Morning", "Nothing here.", "At most %(most)s.")
    expected = {(None, words) for words in sentences}
    assert keys_of(messages.collect(tmp_path)) == expected | {("verb", "Open")} | {(None, value) for value in values}
