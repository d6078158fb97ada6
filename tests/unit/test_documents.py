"""Documents agree with the repository: links, decisions, `make` targets."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.language import ROOT, tracked

DECISIONS = ROOT / "docs" / "decisions"
SELF = "tests/unit/test_documents.py"
MARKDOWN = [name for name in tracked() if name.endswith(".md")]
RECORDS = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))


@cache
def texts() -> dict[str, str]:
    """Return the text files of the repository by name, without binary and generated ones."""
    found = dict[str, str]()
    for name in tracked():
        raw = (ROOT / name).read_bytes()
        if name not in (SELF, "package-lock.json") and b"\0" not in raw:
            found[name] = raw.decode(errors="replace")
    return found


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_relative_link_leads_to_a_file_and_a_heading(name: str) -> None:
    missing = [link for link in _links(texts()[name]) if not _resolves(ROOT / name, link)]
    assert not missing


def test_every_decision_that_is_cited_has_a_record() -> None:
    numbers = {record[:3] for record in RECORDS}
    missing = [
        f"{name}: {number}"
        for name, text in texts().items()
        for number in re.findall(r"docs/decisions/(\d{3})", text)
        if number not in numbers
    ]
    assert not missing


def test_every_decision_has_one_number_and_a_line_in_the_list() -> None:
    assert len({record[:3] for record in RECORDS}) == len(RECORDS)
    assert (
        re.findall(r"^\| \[\d{3}\]\((\d{3}-[a-z0-9-]+\.md)\)", (DECISIONS / "README.md").read_text(), re.M) == RECORDS
    )


@pytest.mark.parametrize("record", RECORDS)
def test_a_decision_tells_context_decision_and_consequences_on_a_page(record: str) -> None:
    text = (DECISIONS / record).read_text()
    assert text.startswith(f"# {record[:3]}: ")
    assert re.findall(r"^\*\*(\w+)\.\*\*", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.split()) <= 450


def test_no_file_names_a_document_that_is_not_in_the_repository() -> None:
    outside = re.compile(r"\.\./shared\b|\bdesign[, ]+(?:D\d+|section \d)", flags=re.IGNORECASE)
    found = [f"{name}: {match[0]}" for name, text in texts().items() for match in outside.finditer(text)]
    assert not found


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    command = re.compile(r"\bmake ((?:[A-Z_]+=\S+ )*)([a-z][a-z-]*)")
    named = {(name, match[2]) for name in MARKDOWN for code in _code(texts()[name]) for match in command.finditer(code)}
    assert ("README.md", "dev") in named
    assert not [(name, target) for name, target in named if target not in targets]


PLACES = ("", "layers/core/opencode_cloud", "layers/core/opencode_cloud/*", "tests", "tests/unit/*", "clients/*/src/*")
"""The bases of paths in documents: the root, the library, its features, ..."""


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_module_that_a_document_names_exists(name: str) -> None:
    named = re.findall(r"`([\w./*-]+\.(?:py|html|js|css|mjml|toml))(?:::\w+)?`", texts()[name])
    prefixes = [*PLACES, (ROOT / name).parent.relative_to(ROOT).as_posix()]
    missing = [path for path in named if not any(any(ROOT.glob(f"{place}/{path}".lstrip("/"))) for place in prefixes)]
    assert not missing


def _code(text: str) -> list[str]:
    """Return the commands of a page: fenced blocks without their comments, and code in lines."""
    fence = re.compile(r"^ *(?:```|~~~)[^\n]*\n(.*?)^ *(?:```|~~~)", flags=re.MULTILINE | re.DOTALL)
    blocks = [re.sub(r"#.*", "", block) for block in fence.findall(text)]
    return [*blocks, *re.findall(r"`([^`\n]+)`", fence.sub("", text))]


def _links(text: str) -> list[str]:
    prose = re.sub(r"^ *(```|~~~).*?^ *\1", "", text, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose))
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def _resolves(page: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = (page.parent / path) if path else page
    if not target.resolve().is_relative_to(ROOT) or not target.exists():
        return False
    return not heading or heading in _anchors(target.read_text())


def _anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
