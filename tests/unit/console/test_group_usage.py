"""Usage by group of members: each call counts once, and the rows add up to the total."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.console import group_usage
from opencode_cloud.console.group_usage import summed
from opencode_cloud.console.usage import less
from opencode_cloud.contracts.ids import MemberId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.usage.models import Sums
from tests.unit.console.office import Office
from tests.unit.usage.events import entry

numbers = st.integers(0, 10**12)


def grouped(office: Office, **groups: list[str]) -> None:
    """Create groups with these members."""
    owner = office.acting(office.owner)
    for name, members in groups.items():
        group = office.team.groups.create(owner, office.workspace, name)
        office.team.groups.change_members(owner, office.workspace, group.id, [MemberId(each) for each in members])


def called(office: Office, **calls: int) -> None:
    """Record calls of members and service accounts at $1.50 each, by their id."""
    now = int(utc_now().timestamp() * 1000)
    made = [holder for holder, count in calls.items() for _ in range(count)]
    office.ingest(
        [
            entry(
                number,
                workspace_id=office.workspace,
                at=now,
                member_id=holder if holder.startswith("mem_") else "",
                service_account_id="" if holder.startswith("mem_") else holder,
            )
            for number, holder in enumerate(made)
        ]
    )


def rows(text: str) -> dict[str, tuple[int, str]]:
    """Return calls and cost of each row of groups, and of the total."""
    found = re.findall(
        r'<th scope="row(?:group)?">(.*?)</th><td></td><td class="number">([\d,]+)</td>.*?(\$[\d.]+)', text
    )
    return {re.sub("<.*?>", "", name): (int(calls), cost) for name, calls, cost in found}


def test_each_call_counts_once_for_the_groups_of_its_member(office: Office) -> None:
    owner, admin, member, viewer = (
        office.acting(office.people[role]).id for role in (Role.OWNER, Role.ADMIN, Role.MEMBER, Role.VIEWER)
    )
    robot = office.team.service_accounts.create(office.acting(office.owner), office.workspace, "robot").id
    grouped(office, Research=[admin, member], Labs=[member], Empty=[])
    called(office, **{owner: 1, admin: 2, member: 4, viewer: 1, robot: 3})
    page = office.browser(Role.BILLING).open(f"{office.base}/usage/groups")
    assert rows(page.answer.text) == {
        "Labs + Research": (4, "$6.00"),
        "service accounts": (3, "$4.50"),
        "Research": (2, "$3.00"),
        "no group": (2, "$3.00"),
        "Total": (11, "$16.50"),
    }
    assert [link for link in page.links if f"member={member}" in link]
    legend = page.answer.text.split('class="legend"')[1].split("</ul>")[0]
    assert re.findall(r"</svg> ([^<]*)<", legend) == ["Labs + Research", "service accounts", "Research", "no group"]
    bars = re.findall(r"<title>\S+ UTC, ([^<]*)</title>", page.answer.text)
    assert bars == ["Labs + Research: $6.00", "service accounts: $4.50", "Research: $3.00", "no group: $3.00"]


def test_groups_and_members_beyond_the_shown_ones_are_one_row(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [office.acting(office.people[role]).id for role in (Role.OWNER, Role.ADMIN, Role.MEMBER)]
    grouped(office, Research=ids)
    called(office, **dict(zip(ids, (3, 2, 1), strict=True)))
    monkeypatch.setattr(group_usage, "SHOWN", 1)
    text = office.browser(Role.ADMIN).open(f"{office.base}/usage/groups").answer.text
    assert rows(text)["Research"] == rows(text)["Total"] == (6, "$9.00")
    assert '<span class="soft">all others</span></th><td class="number">3</td>' in text
    monkeypatch.setattr(group_usage, "MOST_SPENDERS", 2)
    text = office.browser(Role.ADMIN).open(f"{office.base}/usage/groups").answer.text
    assert rows(text) == {"Research": (5, "$7.50"), "all others": (1, "$1.50"), "Total": (6, "$9.00")}


def test_the_page_has_the_asked_range_and_measure(office: Office) -> None:
    called(office, **{office.acting(office.owner).id: 2})
    browser, page = office.browser(Role.OWNER), f"{office.base}/usage/groups"
    before = utc_now() - timedelta(days=400)
    assert "No calls in this range" in browser.open(f"{page}?from={before:%Y-%m-%d}&to={before:%Y-%m-%d}").text
    shown = browser.open(f"{page}?measure=calls&interval=month&member=mem_x&group=grp_x")
    assert "Calls per month by group of members" in shown.text
    assert rows(shown.answer.text)["Total"] == (2, "$3.00")
    assert page in {link.split("?")[0] for link in browser.open(f"{office.base}/usage").links}


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_people_who_see_only_their_own_calls_have_no_such_page(office: Office, role: Role) -> None:
    browser = office.browser(role)
    assert browser.open(f"{office.base}/usage/groups").status == 403
    assert "/usage/groups" not in browser.open(f"{office.base}/usage").answer.text


@given(st.lists(st.builds(Sums, calls=numbers, cost=numbers, output_tokens=numbers), max_size=5))
def test_a_sum_has_nothing_besides_its_parts(parts: list[Sums]) -> None:
    assert less(summed(parts), parts) == Sums()
