"""The usage page: cost, calls and tokens of a range of days, by time and by group, beside the range before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.charts import SERIES, Chart, stacked
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.console.ranges import DAY, DayRange, month_of, range_of
from opencode_cloud.contracts.ids import GroupId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.usage.models import Dimension, Interval, Selection, Sums, UsageLine

if TYPE_CHECKING:
    from opencode_cloud.usage.service import UsageReader
    from opencode_cloud.workspaces.service import Groups

SHOWN = 50
"""The most groups of the table. The rest is one row, so that the rows add up to the total."""
KNOWN_BEFORE = 500
"""The most groups of the range before that are compared."""
HOURS_UP_TO = 3
"""The most days that can be shown by the hour."""
LONGEST = 128
DIMENSIONS = {
    Dimension.MODEL: (gettext_noop("model"), gettext_noop("no model")),
    Dimension.CALLER: (gettext_noop("person or service account"), gettext_noop("unknown")),
    Dimension.MEMBER: (gettext_noop("member"), gettext_noop("service accounts")),
    Dimension.SERVICE_ACCOUNT: (gettext_noop("service account"), gettext_noop("people")),
    Dimension.KEY: (gettext_noop("key"), gettext_noop("devices of people, without a key")),
    Dimension.PROJECT: (gettext_noop("project"), gettext_noop("no project")),
    Dimension.AGENT: (gettext_noop("agent"), gettext_noop("unknown program")),
    Dimension.SESSION: (gettext_noop("session"), gettext_noop("no session")),
    Dimension.UPSTREAM: (gettext_noop("upstream"), gettext_noop("no upstream")),
    Dimension.OUTCOME: (gettext_noop("result"), gettext_noop("unknown")),
}
"""The groups that the page offers: their name, and the name of calls outside of any group."""
DEPARTMENTS = {
    "project": gettext_noop("project"),
    "group": gettext_noop("group of members"),
    "member": gettext_noop("member"),
    "service_account": gettext_noop("service account"),
    "key": gettext_noop("key"),
    "model": gettext_noop("model"),
}
"""The attributes that tell the departments of a company apart."""
INTERVALS = {
    Interval.DAY: gettext_noop("day"),
    Interval.HOUR: gettext_noop("hour"),
    Interval.MONTH: gettext_noop("month"),
}


def _tokens(sums: Sums) -> int:
    cached = sums.cache_read_tokens + sums.cache_write_tokens + sums.cache_1h_tokens
    return sums.input_tokens + sums.output_tokens + cached


MEASURES: Mapping[str, tuple[str, Callable[[Sums], int]]] = {
    "cost": (gettext_noop("cost"), lambda sums: sums.cost),
    "calls": (gettext_noop("calls"), lambda sums: sums.calls),
    "tokens": (gettext_noop("tokens"), _tokens),
}
"""The values that the chart can show: name and number."""


class UsageRow(msgspec.Struct, frozen=True):
    """One group of the table, or the total."""

    name: str
    link: str
    sums: Sums
    cost: str
    part: str
    """The share of the total cost, in percent."""
    before: str
    """The cost of the range before."""


class View(msgspec.Struct, frozen=True):
    """The question that the page answers, from the query of its address."""

    days: DayRange
    by: Dimension
    interval: Interval
    measure: str
    only: Mapping[Dimension, str]
    group: str = ""
    """A group of members whose calls are shown; empty: all."""

    def selection(self, days: DayRange | None = None) -> Selection:
        """Return the calls to read; ``days`` takes the place of the view's own range."""
        shown = days or self.days
        return Selection(since=shown.since, until=shown.until, only=self.only, member_group=self.group)

    def query(self, days: DayRange | None = None, **changes: str) -> str:
        """Return the query of this view with changes, for links."""
        shown = days or self.days
        values = {
            "from": shown.first,
            "to": shown.last,
            "by": str(self.by),
            "interval": str(self.interval),
            "measure": self.measure,
            **self.filters(),
        }
        return urlencode(values | changes)

    def sheet(self, **more: str) -> str:
        """Return the query of the API that has exactly the calls of this view."""
        period = {"from": f"{self.days.since:%Y-%m-%dT%H:%M:%SZ}", "to": f"{self.days.until:%Y-%m-%dT%H:%M:%SZ}"}
        return urlencode({**period, "group_by": str(self.by), **self.filters(), **more})

    def filters(self) -> dict[str, str]:
        """Return the parameters that choose calls, besides the range."""
        group = {"group": self.group} if self.group else {}
        return {**{str(dimension): value for dimension, value in self.only.items()}, **group}


def months_of(view: View, today: datetime) -> list[tuple[str, str]]:
    """Return words and queries of the present month and the one before."""
    month = month_of(today)
    return [(gettext_noop("This month"), view.query(month)), (gettext_noop("Last month"), view.query(month.before()))]


class UsagePages:
    """The usage of a range: all calls, or only the actor's own without ``usage:read``."""

    PAGE: ClassVar[ConsolePage] = menu.USAGE

    def __init__(self, app: ConsoleApp, reader: UsageReader, groups: Groups) -> None:
        self._app = app
        self._reader = reader
        self._groups = groups

    def mount(self) -> None:
        """Add every page."""
        self._app.add(self.PAGE, self.show)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../usage?from=2026-11-01&to=2026-11-30&by=model``: show a range, by default the current month."""
        view = view_of(request)
        actor, workspace_id = request.actor, request.workspace.id
        total = self._reader.total(actor, workspace_id, view.selection())
        previous = self._reader.total(actor, workspace_id, view.selection(view.days.before()))
        lines = self._reader.groups(actor, workspace_id, view.selection(), view.by, None, SHOWN)
        names = self._reader.names(view.by, lines)
        today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
        following = view.days.after()
        return self._app.page(
            request,
            view=view,
            group=self._groups.get(workspace_id, GroupId(view.group)).name if view.group else "",
            total=total,
            cost=money.shown(total.cost),
            charged=money.shown(total.charged),
            previous=money.shown(previous.cost),
            change=change_of(total.cost, previous.cost),
            forecast=forecast_of(total.cost, view.days),
            hits=percent(total.cache_read_tokens, _prompt(total)),
            tokens=_tokens(total),
            chart=self._chart(request, view, lines, names) if total.calls else None,
            rows=self._rows(request, view, lines, names, total),
            dimensions=self._offered(request),
            departments=DEPARTMENTS,
            intervals=INTERVALS,
            measures=MEASURES,
            before=view.query(view.days.before()),
            after=view.query(following) if following else "",
            presets=[
                *months_of(view, today),
                ("7 days", view.query(DayRange(today - 6 * DAY, today + DAY))),
                ("30 days", view.query(DayRange(today - 29 * DAY, today + DAY))),
            ],
        )

    def _offered(self, request: PageRequest) -> Mapping[Dimension, tuple[str, str]]:
        """Return the groups that the actor may ask for; without ``usage:read`` there is only one caller."""
        callers = {Dimension.CALLER, Dimension.MEMBER, Dimension.SERVICE_ACCOUNT}
        everyone = request.may(Permission.USAGE_READ)
        return {each: words for each, words in DIMENSIONS.items() if everyone or each not in callers}

    def _rows(
        self, request: PageRequest, view: View, lines: Sequence[UsageLine], names: Mapping[str, str], total: Sums
    ) -> list[UsageRow]:
        """Return a row for each group and one for the rest. Their sums are those of the total."""
        actor, workspace_id = request.actor, request.workspace.id
        earlier = self._reader.groups(
            actor, workspace_id, view.selection(view.days.before()), view.by, None, KNOWN_BEFORE
        )
        before = {line.group: line.sums.cost for line in earlier}
        nameless = DIMENSIONS[view.by][1]
        rows = [
            UsageRow(
                name=names.get(line.group or "", line.group or nameless),
                link=view.query(None, **{str(view.by): line.group}) if line.group else "",
                sums=line.sums,
                cost=money.shown(line.sums.cost),
                part=percent(line.sums.cost, total.cost),
                before=money.shown(before.get(line.group, 0)),
            )
            for line in lines
        ]
        rest = less(total, [line.sums for line in lines])
        if rest.calls:
            rows.append(UsageRow("all others", "", rest, money.shown(rest.cost), percent(rest.cost, total.cost), ""))
        return rows

    def _chart(self, request: PageRequest, view: View, lines: Sequence[UsageLine], names: Mapping[str, str]) -> Chart:
        times, number = points(view), MEASURES[view.measure][1]
        whole = self._series(request, view, view.selection(), number, len(times))
        stacks: list[tuple[str, Mapping[datetime, int]]] = []
        for line in lines[: SERIES - 1]:
            if line.group:
                selection = msgspec.structs.replace(view.selection(), only={**view.only, view.by: line.group})
                stacks.append(
                    (names.get(line.group, line.group), self._series(request, view, selection, number, len(times)))
                )
        rest = {
            time: left for time in times if (left := whole.get(time, 0) - sum(each.get(time, 0) for _, each in stacks))
        }
        if rest:
            stacks.append((gettext_noop("all others"), rest))
        shown = money.shown if view.measure == "cost" else "{:,}".format
        words = [
            [f"{time:%Y-%m-%d %H:%M} UTC, {name}: {shown(values.get(time, 0))}" for time in times]
            for name, values in stacks
        ]
        return stacked(times, stacks, words)

    def _series(
        self, request: PageRequest, view: View, selection: Selection, number: Callable[[Sums], int], most: int
    ) -> Mapping[datetime, int]:
        lines = self._reader.series(request.actor, request.workspace.id, selection, view.interval, None, None, most + 1)
        return {line.start: number(line.sums) for line in lines if line.start is not None}


def view_of(request: PageRequest) -> View:
    """Return the view that a request asks for. Unknown values count as the default ones."""
    days = range_of(request.query("from"), request.query("to"), month_of(utc_now()))
    by = next((each for each in DIMENSIONS if each == request.query("by")), Dimension.MODEL)
    interval = next((each for each in INTERVALS if each == request.query("interval")), Interval.DAY)
    only = {each: request.query(each)[:LONGEST] for each in DIMENSIONS if request.query(each)}
    by_session = by is Dimension.SESSION or Dimension.SESSION in only
    if interval is Interval.HOUR and (days.days > HOURS_UP_TO or by_session):
        interval = Interval.DAY
    measure = request.query("measure") if request.query("measure") in MEASURES else "cost"
    return View(days, by, interval, measure, only, request.query("group")[:LONGEST])


def points(view: View) -> list[datetime]:
    """Return the beginnings of the intervals of a view."""
    times, time = list[datetime](), view.days.since
    if view.interval is Interval.MONTH:
        time = month_of(time).since
    while time < view.days.until:
        times.append(time)
        match view.interval:
            case Interval.HOUR:
                time += timedelta(hours=1)
            case Interval.DAY:
                time += DAY
            case Interval.MONTH:
                time = month_of(time).until
    return times


def less(total: Sums, parts: Sequence[Sums]) -> Sums:
    """Return a total without its parts."""
    taken = {name: getattr(total, name) - sum(getattr(part, name) for part in parts) for name in Sums.__struct_fields__}
    return Sums(**taken)


def percent(part: int, whole: int) -> str:
    """Return a share in percent, with one decimal; empty of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def change_of(now: int, before: int) -> str:
    """Return a difference to the range before in percent, such as ``+12 %``; empty if that was nothing."""
    return f"{100 * (now - before) / before:+.0f} %" if before else ""


def forecast_of(cost: int, days: DayRange) -> str:
    """Return the cost of the whole range if it goes on as until now; empty for a range that is over or began today."""
    now = utc_now()
    gone = (now - days.since).total_seconds()
    whole = (days.until - days.since).total_seconds()
    if not cost or not DAY.total_seconds() <= gone < whole:
        return ""
    return money.shown(int(cost * whole / gone) // money.CENT * money.CENT)


def _prompt(sums: Sums) -> int:
    return sums.input_tokens + sums.cache_read_tokens + sums.cache_write_tokens + sums.cache_1h_tokens
