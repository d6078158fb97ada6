"""The list of mutants is complete and current, and the named tests kill every mutant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.mutants.definitions import ROOT, Mutant, read_mutants
from tests.mutants.running import Copy, broken_tests, copied, judge

MUTANTS = read_mutants()
by_id = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)


def test_each_invariant_has_two_mutants() -> None:
    promised = set(re.findall(r"(?m)^\| (I\d) \|", (ROOT / "ARCHITECTURE.md").read_text()))
    kept = Counter(invariant for mutant in MUTANTS for invariant in mutant.invariants)
    assert promised
    assert {invariant for invariant in promised if kept[invariant] < 2} == set()
    assert kept.keys() <= promised


def test_ids_are_unique() -> None:
    assert [each for each, count in Counter(mutant.id for mutant in MUTANTS).items() if count > 1] == []


@by_id
def test_a_mutant_fits_the_code_and_names_tests(mutant: Mutant) -> None:
    compile(mutant.applied(ROOT), str(mutant.file), "exec")
    assert mutant.tests
    assert mutant.missing_tests(ROOT) == []


@pytest.fixture(scope="module")
def copy() -> Iterator[Copy]:
    with copied() as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_a_mutant_the_tests_pass(copy: Copy) -> None:
    assert broken_tests(copy, MUTANTS) == ""


@pytest.mark.slow
@pytest.mark.timeout(900)
@by_id
def test_a_mutant_is_killed(copy: Copy, mutant: Mutant) -> None:
    verdict = judge(copy, mutant)
    assert verdict.killed, f"{verdict.word}: {verdict.why}"
