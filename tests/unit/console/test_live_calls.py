"""The live list of calls: each call is sent once, in whatever order calls and answers interleave."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.console import live_calls
from opencode_cloud.console.call_list import CallRow
from opencode_cloud.console.live_calls import MOST, marks, unseen
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from tests.unit.console.office import InProcessBrowser, Office
from tests.unit.console.test_calls import REASON, calls, refuse
from tests.unit.usage.events import call, entry

START = datetime(2025, 11, 25)  # noqa: DTZ001 - UTC without a zone, as in SQL
EMPTY = CallRow(START, "", False, "", "", "", "", 0, "", "", 0, "", "", "")
WRITES_AND_POLLS = st.lists(st.none() | st.tuples(st.integers(0, 9), st.integers(0, 10**6)), max_size=60)
"""None is an answer; a pair of time and id is a call that is written."""


def newest(written: set[tuple[int, int]], most: int) -> list[CallRow]:
    """Return the calls that the database has, as the list reads them."""
    rows = [msgspec.structs.replace(EMPTY, at=START + timedelta(seconds=at), id=call(number)) for at, number in written]
    return sorted(rows, key=lambda row: (row.at, row.id), reverse=True)[:most]


@given(WRITES_AND_POLLS, st.integers(1, 8))
def test_the_list_is_always_the_newest_calls_and_each_is_sent_once(
    steps: list[tuple[int, int] | None], most: int
) -> None:
    written, shown, sent, seen = set[tuple[int, int]](), list[CallRow](), list[str](), ""
    ids = set[int]()
    for step in [*steps, None]:
        if step is not None:
            if step[1] not in ids:
                written.add(step)
                ids.add(step[1])
            continue
        listed = newest(written, most)
        fresh = unseen(listed, seen)
        seen = marks(row.id for row in listed)
        sent += [row.id for row in fresh]
        shown = sorted([*shown, *fresh], key=lambda row: row.key_in_list, reverse=True)[:most]
        assert shown == listed
        assert not unseen(listed, seen)
    assert len(sent) == len({*sent})


def live(browser: InProcessBrowser, office: Office, after: str = "", query: str = "") -> tuple[list[str], str]:
    """Ask as the script does; return the keys of the rows, and the next cursor."""
    answer = browser.go(f"{office.base}/calls/live?{query}&after={after}")
    if answer.status_code == 204:
        assert answer.text == ""
        return [], after
    assert answer.status_code == 200
    [following] = re.findall('data-after="([^"]*)"', answer.text)
    return re.findall(r'data-key="[^/]*/([^"]*)"', answer.text), following


def test_new_calls_and_refusals_are_sent_once_also_those_of_an_earlier_time(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    browser, now = office.browser(Role.ADMIN), int(utc_now().timestamp() * 1000)
    since = f"from={utc_now() - timedelta(days=1):%Y-%m-%d}"  # a month may have begun a minute ago
    [first] = calls(office, member, 1)
    found, after = live(browser, office, query=since)
    assert found == [first.id]
    assert live(browser, office, after, since) == ([], after)
    # A call of ten minutes ends after one that arrived later.
    office.ingest([entry(501, workspace_id=office.workspace, member_id=member.id, at=now)])
    found, after = live(browser, office, after, since)
    assert found == [call(501)]
    office.ingest([entry(500, workspace_id=office.workspace, member_id=member.id, at=now - 600_000)])
    refuse(office, member)
    found, after = live(browser, office, after, since)
    assert found[1:] == [call(500)]
    assert found[0].startswith("aud_")
    assert live(browser, office, after, since) == ([], after)


def test_the_filter_of_the_page_is_in_force(office: Office) -> None:
    member = office.acting(office.people[Role.MEMBER])
    browser = office.browser(Role.ADMIN)
    [wanted] = calls(office, member, 1)
    refuse(office, member)
    page = browser.open(f"{office.base}/calls?model=claude-sonnet&show=completed")
    [query] = re.findall(r'data-url="[^"]*/calls/live\?([^"]*)"', page.answer.text)
    assert live(browser, office, query=query.replace("&amp;", "&"))[0] == [wanted.id]
    assert REASON in browser.go(f"{office.base}/calls/live?show=refused").text
    assert live(browser, office, query="model=gpt-5&show=completed")[0] == []


def test_a_filter_reads_one_day_only(office: Office) -> None:
    member, now = office.acting(office.people[Role.MEMBER]), int(utc_now().timestamp() * 1000)
    for number, hours in enumerate((1, 25)):
        office.ingest([entry(number, workspace_id=office.workspace, member_id=member.id, at=now - hours * 3_600_000)])
    browser, since = office.browser(Role.ADMIN), f"{utc_now() - timedelta(days=3):%Y-%m-%d}"
    assert live(browser, office, query=f"from={since}")[0] == [call(0), call(1)]
    assert live(browser, office, query=f"from={since}&model=claude-sonnet")[0] == [call(0)]


def test_the_list_has_a_bound_and_leads_to_the_calls_after_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_calls, "MOST", 3)
    made = calls(office, office.acting(office.people[Role.MEMBER]), 5)
    answer = office.browser(Role.ADMIN).go(f"{office.base}/calls/live")
    assert re.findall(r'data-key="[^/]*/([^"]*)"', answer.text) == [each.id for each in made[:3]]
    [older] = re.findall('data-older="([^"]*)"', answer.text)
    page = office.browser(Role.ADMIN).go(f"{office.base}/calls?{older.replace('&amp;', '&')}")
    assert re.findall(r'data-key="[^/]*/([^"]*)"', page.text) == [each.id for each in made[3:]]


def test_the_cursor_of_a_full_list_fits_in_an_address(office: Office) -> None:
    calls(office, office.acting(office.people[Role.MEMBER]), MOST + 1)
    found, after = live(office.browser(Role.ADMIN), office)
    assert len(found) == MOST
    assert len(after) < 2048
    assert live(office.browser(Role.ADMIN), office, after) == ([], after)


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_people_without_the_permission_get_only_their_own_calls(office: Office, role: Role) -> None:
    calls(office, office.acting(office.people[Role.ADMIN]), 1)
    refuse(office, office.acting(office.people[Role.ADMIN]))
    refuse(office, office.acting(office.people[role]), "own-model")
    answer = office.browser(role).go(f"{office.base}/calls/live")
    assert answer.text.count("<tr") == 1
    assert "own-model" in answer.text


def test_a_session_that_ended_leads_to_sign_in_and_a_false_cursor_is_refused(office: Office) -> None:
    answer = office.browser(None).go(f"{office.base}/calls/live")
    assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login")
    assert office.browser(Role.ADMIN).go(f"{office.base}/calls/live?after=x").status_code == 400


def test_only_a_list_that_new_calls_belong_to_offers_the_switch(office: Office) -> None:
    calls(office, office.acting(office.people[Role.MEMBER]), 51)
    browser, yesterday = office.browser(Role.ADMIN), f"{utc_now() - timedelta(days=1):%Y-%m-%d}"
    page = browser.go(f"{office.base}/calls")
    assert 'id="live"' in page.text
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    [older] = re.findall(r'<p id="older"><a href="([^"]*)"', page.text)
    for path in (older.replace("&amp;", "&"), f"{office.base}/calls?from={yesterday}&to={yesterday}"):
        quiet = browser.go(path)
        assert 'id="live"' not in quiet.text
        assert "connect-src 'none'" in quiet.headers["content-security-policy"]


def test_the_list_of_calls_goes_on_after_the_end_of_the_month(office: Office) -> None:
    [event] = calls(office, office.acting(office.people[Role.MEMBER]), 1)
    long_ago = f"{utc_now() - timedelta(days=40):%Y-%m-%d}"
    assert live(office.browser(Role.ADMIN), office, query=f"from={long_ago}&to={long_ago}")[0] == [event.id]
