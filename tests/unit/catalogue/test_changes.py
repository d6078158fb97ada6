"""The list of changes that an operator reads before publishing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from opencode_cloud.catalogue.changes import changes
from opencode_cloud.catalogue.document import form_of
from tests.unit.catalogue.documents import LONG_AGO, document, with_model
from tests.unit.catalogue.strategies import documents

LATER = {"from": "2027-01-01T00:00:00Z", "input": "1", "output": "2"}


@pytest.mark.parametrize(
    ("after", "sentences"),
    [
        (with_model("own", name="Ours"), ['models/own/name changes from "Our own" to "Ours"']),
        (
            with_model("own", prices=[*document()["models"]["own"]["prices"], LATER]),
            ['models/own/prices/2027-01-01T00:00:00Z is new: {"input": "1.00", "output": "2.00"}'],
        ),
        (
            with_model("big", routes=document()["models"]["big"]["routes"][1:]),
            ['models/big/routes/anthropic:claude-big is gone: {"upstream": "anthropic", "model": "claude-big"}'],
        ),
        (
            with_model("tiny", prices=[{"from": LONG_AGO, "input": "0.06", "output": "0.4"}]),
            [f'models/tiny/prices/{LONG_AGO}/input changes from "0.05" to "0.06"'],
        ),
    ],
)
def test_each_change_is_a_sentence(after: dict[str, Any], sentences: list[str]) -> None:
    assert changes(document(), after) == sentences


def test_the_same_amount_or_moment_in_other_letters_is_no_change() -> None:
    same = [{"from": "2025-01-01T01:00:00+01:00", "input": "0.050", "output": "0.4"}]
    assert changes(document(), with_model("tiny", prices=same)) == []


@settings(max_examples=25)
@given(documents(), documents())
def test_documents_without_changes_mean_the_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert changes(before, before) == []
    if not changes(before, after):
        assert form_of(before).catalogue(1) == form_of(after).catalogue(1)
