"""A month is charged on with a mark-up: exact until the total is rounded once, and lines add up to it."""

from __future__ import annotations

import base64
from datetime import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import MemberId, WorkspaceId
from opencode_cloud.kit.money import CENT
from opencode_cloud.usage.chargeback_pdf import pdf_of
from opencode_cloud.usage.models import Dimension
from opencode_cloud.usage.service import chargeback
from opencode_cloud.usage.service.chargeback import Chargeback, ChargebackLine, marked_up
from tests.pdf_text import text_of
from tests.unit.usage.events import ROBOT
from tests.unit.usage.test_routes import Office, office, sheet  # noqa: F401 - a fixture
from tests.unit.workspaces.team import Place


def test_a_mark_up_is_exact_and_rounds_half_up() -> None:
    """Case 58 of docs/billing-cases.md: 950 times 2.11 is 2004.5, which is 2005."""
    assert marked_up([950 * CENT], Fraction("2.11")) == [2005]


def test_lines_of_parts_of_cents_add_up_to_the_total() -> None:
    """Case 56 of docs/billing-cases.md."""
    assert marked_up([CENT // 2] * 3, Fraction(1)) == [1, 1, 0]


@given(st.lists(st.integers(0, 10**15), max_size=90), st.decimals("0.01", "99", places=4))
def test_lines_sum_to_the_exact_total_rounded_once(costs: list[int], markup: object) -> None:
    factor = Fraction(str(markup))
    lines = marked_up(costs, factor)
    exact = Fraction(sum(costs)) * factor / CENT
    assert sum(lines) == int(exact + Fraction(1, 2))
    assert all(abs(line - cost * factor / CENT) < 1 for line, cost in zip(lines, costs, strict=True))


def test_a_month_is_charged_on_by_member_with_names(office: Office) -> None:  # noqa: F811 - the fixture
    found = office.get("chargeback", month="2025-11", by="member", markup="2").body
    assert found["cents"] == sum(line["cents"] for line in found["lines"]) == 400
    assert [(line["name"], line["calls"], line["cents"]) for line in found["lines"]] == [
        ("ann@example.com", 1, 300),
        ("ben@example.com", 2, 100),
    ]
    assert office.get("chargeback", month="2025-12").body["lines"] == []


def test_a_month_is_charged_on_by_the_groups_of_members_so_that_each_call_counts_once(
    office: Office,  # noqa: F811 - the fixture
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chargeback, "AT_ONCE", 1)
    cat = place.joined(office.ann, "cat@example.com", "member")
    office.used(4, cat)
    office.used(5, cat, member_id="", service_account_id=ROBOT)
    for name, members in {"Research": [office.ann, office.ben, cat], "Labs": [office.ben]}.items():
        group = place.team.groups.create(office.ann, office.workspace, name)
        ids = [MemberId(each.id) for each in members]
        place.team.groups.change_members(office.ann, office.workspace, group.id, ids)
    found = office.get("chargeback", month="2025-11", by="group", markup="2").body
    assert [(line["group"], line["name"], line["calls"], line["cents"]) for line in found["lines"]] == [
        ("Research", "Research", 2, 600),
        ("", "service accounts", 1, 300),
        ("Labs + Research", "Labs + Research", 2, 100),
    ]
    assert (found["by"], found["cents"]) == ("group", 1000)
    assert len(sheet(office.get("chargeback.csv", month="2025-11", by="group"))) == 4


def test_a_group_whose_name_looks_like_two_groups_has_a_line_of_its_own(
    office: Office,  # noqa: F811 - the fixture
    place: Place,
) -> None:
    cat = place.joined(office.ann, "cat@example.com", "member")
    office.used(4, cat)
    for name, members in {"A": [office.ben], "B": [office.ben], "A + B": [cat]}.items():
        group = place.team.groups.create(office.ann, office.workspace, name)
        place.team.groups.change_members(office.ann, office.workspace, group.id, [MemberId(it.id) for it in members])
    found = office.get("chargeback", month="2025-11", by="group").body
    assert [line["name"] for line in found["lines"]].count("A + B") == 2


def test_the_sheet_has_a_row_for_each_group(
    office: Office,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chargeback, "AT_ONCE", 1)
    columns, *rows = sheet(office.get("chargeback.csv", month="2025-11", by="model", markup="1.5"))
    assert columns[-1] == "amount_usd"
    assert [(row[1], row[-1]) for row in rows] == [("claude-sonnet", "2.25"), ("gpt", "0.75")]


def test_the_file_has_a_row_for_each_group_and_the_total(office: Office) -> None:  # noqa: F811 - the fixture
    answer = office.get("chargeback.pdf", month="2025-11", by="member", markup="2")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")
    text = text_of(base64.b64decode(answer.body))
    assert "Usage 2025-11 by member" in text
    assert "The amount is the cost times 2." in text
    assert [line for line in ("$3.00", "$1.00", "Total 3 $2.0000 $4.00") if line not in text] == []
    for name in ("ann@example.com", "ben@example.com"):
        assert text.count(name) == 1


def test_calls_of_no_group_have_a_row_that_says_so() -> None:
    line = ChargebackLine("", "", 2, CENT, 1)
    month = Chargeback("2025-11", Dimension.SERVICE_ACCOUNT, Fraction(1), (line,), 1)
    text = text_of(pdf_of(month, WorkspaceId("wrk_1"), "1", datetime(2025, 11, 1)))  # noqa: DTZ001 - UTC
    assert "Calls without a service account 2 $0.01 $0.01" in text


def test_a_member_charges_nobody(office: Office) -> None:  # noqa: F811 - the fixture
    assert office.get("chargeback", office.ben, month="2025-11").status == 403


@pytest.mark.parametrize(("month", "markup"), [("2025-13", "1"), ("2025-11", "-1"), ("2025-11", "1e3")])
def test_a_wrong_month_or_mark_up_is_refused(office: Office, month: str, markup: str) -> None:  # noqa: F811
    assert office.get("chargeback", month=month, markup=markup).status == 400
