"""The list of cases names tests that exist (docs/billing-cases.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIST = (ROOT / "docs" / "billing-cases.md").read_text()
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", LIST)


def test_every_case_is_in_the_list() -> None:
    found: set[int] = set()
    for first, last in re.findall(r"^\| (\d+)(?:(?: to |, )(\d+))? \|", LIST, re.MULTILINE):
        found |= set(range(int(first), int(last or first) + 1))
    assert found == set(range(1, 74))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_exists(file: str, test: str) -> None:
    assert re.search(rf"def {test}\(", (ROOT / file).read_text())
