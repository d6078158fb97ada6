"""The usage page: ranges, groups whose rows add up to the total, and the chart."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.console.charts import HEIGHT, SERIES, TICKS, highest_tick, stacked
from opencode_cloud.console.ranges import DAY, DayRange, month_of, range_of
from opencode_cloud.console.usage import DEPARTMENTS, change_of, less, percent
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.usage.models import Sums
from opencode_cloud.usage.routes.chargeback import Department
from tests.unit.console.office import Office
from tests.unit.usage.events import entry

NOVEMBER, DECEMBER = datetime(2025, 11, 1), datetime(2025, 12, 1)  # noqa: DTZ001 - UTC without a zone, as in SQL
MONTH = DayRange(NOVEMBER, DECEMBER)
numbers = st.integers(0, 10**12)


def test_the_range_before_a_month_is_a_month_and_before_other_days_as_many_days() -> None:
    assert month_of(datetime(2025, 11, 30, 23)) == MONTH  # noqa: DTZ001
    assert MONTH.before() == month_of(datetime(2025, 10, 1))  # noqa: DTZ001
    assert MONTH.after() == month_of(DECEMBER)
    week = DayRange(NOVEMBER, NOVEMBER + 7 * DAY)
    assert week.before() == DayRange(NOVEMBER - 7 * DAY, NOVEMBER)
    assert (week.first, week.last, week.days) == ("2025-11-01", "2025-11-07", 7)


@pytest.mark.parametrize(
    ("first", "last"), [("", ""), ("soon", "2025-11-03"), ("2025-11-03", "2025-11-01"), ("2025-13-01", "x"), ("0", "0")]
)
def test_what_is_no_range_is_the_default_one(first: str, last: str) -> None:
    assert range_of(first, last, MONTH) == MONTH


def test_a_range_has_a_bound_in_length_and_at_both_ends() -> None:
    long = range_of("1999-01-01", "9999-12-30", month_of(utc_now()))
    assert long.days <= 366
    assert long.until <= month_of(utc_now()).until


@given(st.integers(0, 10**15))
def test_the_axis_ends_just_above_the_highest_bar(most: int) -> None:
    top = highest_tick(most)
    assert top >= most
    assert top % TICKS == 0 or top < 100
    assert most <= TICKS or top < most * 2.5


@given(st.lists(st.lists(numbers, min_size=4, max_size=4), max_size=SERIES))
def test_no_bar_leaves_the_drawing_and_every_value_is_visible(values: list[list[int]]) -> None:
    times = [NOVEMBER + number * DAY for number in range(4)]
    series = [(str(number), dict(zip(times, row, strict=True))) for number, row in enumerate(values)]
    chart = stacked(times, series, [[""] * 4 for _ in series])
    assert len(chart.segments) == sum(value > 0 for row in values for value in row)
    assert all(0 <= each.y <= HEIGHT and each.height > 0 for each in chart.segments)


@given(st.lists(st.builds(Sums, calls=numbers, cost=numbers, output_tokens=numbers), max_size=5), numbers)
def test_parts_and_rest_add_up_to_the_total(parts: list[Sums], more: int) -> None:
    total = Sums(calls=sum(part.calls for part in parts) + more, cost=sum(part.cost for part in parts))
    rest = less(total, parts)
    assert (rest.calls, rest.cost) == (more, 0)


def test_shares_and_changes_in_words() -> None:
    assert (percent(1, 3), percent(1, 0)) == ("33.3 %", "")
    assert (change_of(150, 100), change_of(50, 100), change_of(1, 0)) == ("+50 %", "-50 %", "")


def number_of(cell: str) -> int:
    return int(cell.replace(",", ""))


@pytest.mark.parametrize("by", ["model", "caller", "member", "service_account", "key", "project", "agent", "session"])
def test_the_rows_of_every_group_add_up_to_the_total(office: Office, by: str) -> None:
    owner, member = office.acting(office.owner), office.acting(office.people[Role.MEMBER])
    robot = office.team.service_accounts.create(owner, office.workspace, "robot")
    now = int(utc_now().timestamp() * 1000)
    callers: list[dict[str, Any]] = [{"member_id": member.id}, {"member_id": "", "service_account_id": robot.id}]
    office.ingest(
        [
            entry(number, workspace_id=office.workspace, at=now, model=f"m{number % 60}", **callers[number % 2])
            for number in range(120)
        ]
    )
    page = office.browser(Role.ADMIN).open(f"{office.base}/usage?by={by}")
    table = page.answer.text.split("<tbody>")[1]
    rows = [number_of(each) for each in re.findall(r'</th><td class="number">([\d,]+)</td>', table)]
    assert sum(rows[:-1]) == rows[-1] == 120
    assert ("robot" in page.text) == (by in {"caller", "service_account"})


def test_every_link_to_a_sheet_has_exactly_the_range_and_the_group_of_the_view(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    last = month_of(utc_now()).before()
    at = int((last.since + timedelta(hours=30)).timestamp() * 1000)
    office.ingest([entry(1, workspace_id=office.workspace, at=at, member_id=member.id)])
    page = office.browser(Role.BILLING).open(f"{office.base}/usage?from={last.first}&to={last.last}&by=project")
    [totals, series] = [link for link in page.links if ".csv" in link]
    for link in (totals, series):
        assert f"from={last.since:%Y-%m-%d}T00%3A00%3A00Z&to={last.until:%Y-%m-%d}T00%3A00%3A00Z" in link
        assert "group_by=project" in link
    assert "$1.50" in page.text


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_people_without_the_permission_see_their_own_usage_only(office: Office, role: Role) -> None:
    other = office.acting(office.people[Role.ADMIN])
    office.ingest([entry(1, workspace_id=office.workspace, at=int(utc_now().timestamp() * 1000), member_id=other.id)])
    page = office.browser(role).open(f"{office.base}/usage")
    assert "No calls in this range" in page.text
    assert office.browser(role).open(f"{office.base}/usage?member={other.id}").status == 403


def test_a_month_is_charged_on_in_each_way_that_the_api_has(office: Office) -> None:
    page = office.browser(Role.BILLING).open(f"{office.base}/usage?from=2025-11-01&to=2025-11-30").answer.text
    form = page[page.index('id="charge-on"') :]
    assert re.findall(r'<option value="([a-z_]+)"', form) == [*DEPARTMENTS]
    assert {*DEPARTMENTS} == {*Department} - {Department.CALLER}
    assert 'value="2025-11"' in form
    assert all(f"/usage/chargeback.{kind}" in form for kind in ("pdf", "csv"))
