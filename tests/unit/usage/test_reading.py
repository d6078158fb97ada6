"""Totals and series equal the sums of the events, for any period and grouping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.contracts.usage import SettledEvent, UsageEvent
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.sql import Database
from opencode_cloud.usage.models import Dimension, Interval, Selection, Sums, UsageLine
from opencode_cloud.usage.service import Ingest, UsageReader
from opencode_cloud.usage.service import reader as service_reader
from opencode_cloud.usage.service.reader import whole
from opencode_cloud.usage.service.rollups import day_start, hour_start, moment
from opencode_cloud.usage.store.events import EventArchive
from opencode_cloud.usage.store.figures import Figures
from opencode_cloud.usage.store.ledger import Ledger
from tests.unit.usage.events import ANN, BEN, NOON, OTHER, ROBOT, WORKSPACE, distinct, entries, entry, event
from tests.unit.usage.test_ingest import empty

FIRST, LAST = datetime(2025, 11, 22), datetime(2025, 11, 29)  # noqa: DTZ001 - UTC without a zone, as in SQL
STARTS: dict[Interval, Callable[[datetime], datetime]] = {
    Interval.HOUR: hour_start,
    Interval.DAY: day_start,
    Interval.MONTH: lambda at: day_start(at).replace(day=1),
}
moments = st.integers(0, 7 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes)) | st.sampled_from(
    # Whole months have sums of their own.
    [datetime(2025, 11, 1), datetime(2025, 12, 1), datetime(2025, 10, 17, 5), datetime(2026, 1, 2, 3)]  # noqa: DTZ001
)
owner = Actor(kind=ActorKind.MEMBER, credential=CredentialKind.SESSION, id=ANN, workspace_id=WORKSPACE, role=Role.OWNER)


def value_of(event: UsageEvent, dimension: str) -> Any:
    """Return an event's value of a dimension, whose name has no suffix `_id`."""
    if dimension == Dimension.CALLER:
        return event.member_id or event.service_account_id
    named = f"{dimension}_id"
    return getattr(event, named if named in UsageEvent.__struct_fields__ else dimension)


def reader(role: Role, kind: ActorKind = ActorKind.MEMBER, who: str = ANN, **more: Any) -> Actor:
    usual = {"credential": CredentialKind.SESSION, "workspace_id": WORKSPACE}
    return Actor(kind=kind, id=who, role=role, **usual | more)


@pytest.fixture
def ingest(database: Database) -> Ingest:
    return Ingest(Ledger(database))


@pytest.fixture
def reading(database: Database) -> UsageReader:
    return UsageReader(Figures(database), EventArchive(database))


def summed(found: Sequence[UsageEvent]) -> Sums:
    total = Sums()
    for each in found:
        total.add(each)
    return total


def chosen(found: Sequence[SettledEvent], wanted: Selection) -> list[UsageEvent]:
    return [
        each.event
        for each in found
        if each.event.workspace_id == WORKSPACE
        and wanted.since <= moment(each.event) < wanted.until
        and all(value_of(each.event, dimension) == value for dimension, value in wanted.only.items())
        and (wanted.byok is None or each.event.byok == wanted.byok)
        and (not wanted.members or each.event.member_id in wanted.members)
    ]


def pages(read: Callable[[Any], Sequence[UsageLine]], key: Callable[[UsageLine], Any]) -> list[UsageLine]:
    """Read everything, two lines at a time."""
    found: list[UsageLine] = []
    while page := read(key(found[-1]) if found else None):
        found.extend(page)
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(entries, max_size=20).map(distinct),
    period=st.tuples(moments, moments).filter(lambda period: period[0] < period[1]),
    by=st.sampled_from(Dimension),
    interval=st.sampled_from(Interval),
    filters=st.sampled_from(
        [
            {},
            {Dimension.MODEL: "gpt"},
            {Dimension.MEMBER: BEN},
            {Dimension.SESSION: "ses_b"},
            {Dimension.PROJECT: "web", Dimension.AGENT: "codex"},
            {Dimension.PROJECT: ""},
            {Dimension.CALLER: ROBOT},
        ]
    ),
    byok=st.none() | st.booleans(),
    members=st.sampled_from([(), (BEN,), (ANN, BEN)]),
)
def test_figures_are_what_the_events_of_the_period_add_up_to(
    database: Database,
    ingest: Ingest,
    reading: UsageReader,
    found: list[SettledEvent],
    period: tuple[datetime, datetime],
    by: Dimension,
    interval: Interval,
    filters: dict[Dimension, str],
    byok: bool | None,
    members: tuple[str, ...],
) -> None:
    empty(database)
    ingest.take(found)
    asked = Selection(since=period[0], until=period[1], only=filters, byok=byok, members=members)
    assert reading.total(owner, WORKSPACE, asked) == summed(chosen(found, whole(asked, None, None)))

    expected: dict[Any, list[UsageEvent]] = {}
    for each in chosen(found, whole(asked, None, by)):
        expected.setdefault(value_of(each, by), []).append(each)
    lines = pages(
        lambda after: reading.groups(owner, WORKSPACE, asked, by, after, 2), lambda line: (line.sums.cost, line.group)
    )
    assert {line.group: line.sums for line in lines} == {group: summed(each) for group, each in expected.items()}
    assert len(lines) == len(expected)
    assert [line.sums.cost for line in lines] == sorted((line.sums.cost for line in lines), reverse=True)

    if interval is Interval.HOUR and (by is Dimension.SESSION or Dimension.SESSION in filters):
        with pytest.raises(ServiceError, match="by day"):
            reading.series(owner, WORKSPACE, asked, interval, by, None, 2)
        return
    expected.clear()
    for each in chosen(found, whole(asked, interval, by)):
        expected.setdefault((STARTS[interval](moment(each)), value_of(each, by)), []).append(each)
    lines = pages(
        lambda after: reading.series(owner, WORKSPACE, asked, interval, by, after, 2),
        lambda line: (line.start, line.group),
    )
    assert [((line.start, line.group), line.sums) for line in lines] == [
        (place, summed(each)) for place, each in sorted(expected.items())
    ]


def test_events_come_the_newest_first_page_by_page(ingest: Ingest, reading: UsageReader) -> None:
    ingest.take([entry(number, at=NOON + (number % 3) * 1000) for number in range(9)])
    ingest.take([entry(99, workspace_id=OTHER)])
    wanted = Selection(since=FIRST, until=LAST)
    found: list[str] = []
    after: tuple[datetime, str] | None = None
    while page := reading.events(owner, WORKSPACE, wanted, after, 4):
        found += [each.event.id for each in page]
        after = (page[-1].at, page[-1].event.id)
    assert [int(call.removeprefix("call_")) for call in found] == [8, 5, 2, 7, 4, 1, 6, 3, 0]


def test_an_event_comes_back_as_it_was_settled(ingest: Ingest, reading: UsageReader) -> None:
    sent = event(7, metadata={"client": "opencode/1.18.33"}, first_byte_ms=None, at=NOON + 123)
    ingest.take([SettledEvent(event=sent)])
    assert reading.event(owner, WORKSPACE, sent.id).event == sent


def test_a_period_up_to_now_is_read_by_whole_days(monkeypatch: pytest.MonkeyPatch) -> None:
    now = LAST - timedelta(minutes=30)
    monkeypatch.setattr(service_reader, "utc_now", lambda: now)
    running = whole(Selection(since=now - timedelta(days=3), until=now), None, None)
    assert running.until == day_start(now) + timedelta(days=1)
    hourly = whole(Selection(since=now - timedelta(days=3), until=now), Interval.HOUR, None)
    assert now <= hourly.until <= now + timedelta(hours=1)


class TestWhoSeesWhat:
    @pytest.fixture(autouse=True)
    def _calls(self, ingest: Ingest) -> None:
        ingest.take(
            [entry(1), entry(2, member_id=BEN, cost=7), entry(3, member_id="", service_account_id=ROBOT, cost=9)]
        )

    @pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
    def test_a_member_sees_what_they_used_themselves(self, reading: UsageReader, role: Role) -> None:
        wanted = Selection(since=FIRST, until=LAST)
        ben = reader(role, who=BEN)
        assert reading.total(ben, WORKSPACE, wanted).cost == 7
        assert [line.group for line in reading.groups(ben, WORKSPACE, wanted, Dimension.MEMBER, None, 9)] == [BEN]
        assert [each.event.member_id for each in reading.events(ben, WORKSPACE, wanted, None, 9)] == [BEN]
        (point,) = reading.series(ben, WORKSPACE, wanted, Interval.DAY, None, None, 9)
        assert point.sums.cost == 7

    def test_others_calls_are_not_there_for_a_member(self, reading: UsageReader) -> None:
        ben = reader(Role.MEMBER, who=BEN)
        assert reading.event(ben, WORKSPACE, entry(2).event.id).event.cost == 7
        with pytest.raises(ServiceError) as refused:
            reading.event(ben, WORKSPACE, entry(1).event.id)
        assert refused.value.code == "call_not_found"
        for dimension, other in ((Dimension.MEMBER, ANN), (Dimension.SERVICE_ACCOUNT, ROBOT)):
            asked = Selection(since=FIRST, until=LAST, only={dimension: other})
            with pytest.raises(ServiceError) as refused:
                reading.total(ben, WORKSPACE, asked)
            assert refused.value.code == "not_permitted"

    @pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.BILLING])
    def test_who_reads_the_workspaces_usage_sees_all(self, reading: UsageReader, role: Role) -> None:
        assert reading.total(reader(role), WORKSPACE, Selection(since=FIRST, until=LAST)).calls == 3

    def test_a_machine_sees_all_with_a_key_for_usage(self, reading: UsageReader) -> None:
        machine = reader(
            Role.ADMIN, ActorKind.SERVICE_ACCOUNT, ROBOT, credential=CredentialKind.KEY, scopes=frozenset({"usage"})
        )
        assert reading.total(machine, WORKSPACE, Selection(since=FIRST, until=LAST)).calls == 3

    def test_another_workspace_sees_nothing(self, reading: UsageReader) -> None:
        wanted = Selection(since=FIRST, until=LAST)
        assert reading.total(owner, OTHER, wanted) == Sums()
        assert reading.events(owner, OTHER, wanted, None, 9) == []
        with pytest.raises(ServiceError, match="no call"):
            reading.event(owner, OTHER, entry(1).event.id)


@pytest.mark.parametrize("days", [0, -1, 401])
def test_a_period_begins_before_it_ends_and_is_no_longer_than_kept(reading: UsageReader, days: int) -> None:
    wanted = Selection(since=FIRST, until=FIRST + timedelta(days=days))
    with pytest.raises(ServiceError) as refused:
        reading.events(owner, WORKSPACE, wanted, None, 9)
    assert refused.value.code == "invalid_period"
