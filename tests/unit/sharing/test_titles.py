"""The title of a session in lists and in the audit trail."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.service.appending import TITLE_CHARACTERS, Appending
from opencode_cloud.sharing.service.tails import Tails
from tests.unit.sharing.test_owner_panel import SHARE


def noted(title: object) -> list[str]:
    """Return the titles that are stored after an update of the session."""
    stored: list[str] = []

    class Store:
        def set_title(self, _share_id: ShareId, title: str) -> None:
            stored.append(title)

    item = Item(key="session", type="session", data=json.dumps({"title": title}).encode())
    Appending(cast("Any", Store()), Tails()).note_title(SHARE, [item])
    return stored


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Fix the build", "Fix the build"),
        ("  Fix\r\n\tthe build ", "Fix   the build"),
        ("Fix \x1b[31mthe\x00 build", "Fix [31mthe build"),
        ("Fix \u202ethe build\u2028", "Fix the build"),
        ("Fix e\u0301t\u00e9", "Fix \u00e9t\u00e9"),
        ("\u200b", ""),
        ("x" * 1000, "x" * TITLE_CHARACTERS),
    ],
)
def test_a_title_is_one_line_without_marks_that_change_the_text_around_it(title: str, shown: str) -> None:
    assert noted(title) == [shown]


@pytest.mark.parametrize("title", [None, 5, ["a"]])
def test_a_title_of_another_type_leaves_the_present_one(title: object) -> None:
    assert noted(title) == []


def test_an_unchanged_title_costs_no_write() -> None:
    assert SHARE.ownership is not None
    assert noted(SHARE.ownership.title) == []
