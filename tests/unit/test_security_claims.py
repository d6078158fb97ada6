"""Each sentence of SECURITY.md names tests that hold it, and each attack that failed is repeated (security.toml)."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache

import pytest

from tests.language import ROOT

LIST = ROOT / "tests" / "security.toml"
HEADING = "## What protects what"
Entries = dict[str, list[str]]
LISTED: dict[str, dict[str, Entries]] = tomllib.loads(LIST.read_text())
CLAIMS, ATTACKS = LISTED["claims"], LISTED["attacks"]


def bullets() -> dict[str, str]:
    """Return the bullets of SECURITY.md in one line each, by their bold words."""
    section = (ROOT / "SECURITY.md").read_text().partition(HEADING)[2].partition("\n## ")[0]
    found = dict[str, str]()
    for bullet in re.split(r"^- ", section, flags=re.MULTILINE)[1:]:
        text = " ".join(bullet.split())
        bold = re.match(r"\*\*(.+?)\*\*", text)
        assert bold, f"The bullet has no bold words at its beginning: {text}"
        found[bold[1].removesuffix(".")] = text.replace("**", "")
    return found


BULLETS = bullets()


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=\.) (?=[A-Z])", text)


def test_each_bullet_has_claims_and_each_claim_a_bullet() -> None:
    assert set(CLAIMS) == set(BULLETS)


@pytest.mark.parametrize("name", BULLETS)
def test_each_sentence_is_claimed_in_its_own_words(name: str) -> None:
    claimed = CLAIMS.get(name, {})
    assert [part for part in claimed if part not in BULLETS[name]] == []
    assert [each for each in sentences(BULLETS[name]) if not any(part in each for part in claimed)] == []


def test_each_claim_and_each_attack_has_a_test() -> None:
    areas = (*CLAIMS.values(), *ATTACKS.values())
    assert all(areas)
    assert [key for area in areas for key, tests in area.items() if not tests] == []


def test_each_named_test_exists_and_is_named_once() -> None:
    named = list(entries())
    assert [(key, test) for key, test in named if test not in defined_in(test.partition("::")[0])] == []
    assert len(named) == len(set(named))


def entries() -> Iterator[tuple[str, str]]:
    """Yield each claim and attack with each of its tests."""
    for area in (*CLAIMS.values(), *ATTACKS.values()):
        for key, tests in area.items():
            for test in tests:
                yield key, test


@cache
def defined_in(file: str) -> frozenset[str]:
    """Return the node ids of a file, without parameters; none of a file that does not exist."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text()).body
    names = set(functions(body))
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            names |= {f"{node.name}::{name}" for name in functions(node.body)}
    return frozenset(f"{file}::{name}" for name in names)


def functions(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name
