"""The page of costs by group of members, for charging them to departments. Each call counts once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest, PageRoutes
from opencode_cloud.console.charts import SERIES, Chart, stacked
from opencode_cloud.console.usage import INTERVALS, MEASURES, View, less, months_of, percent, points, view_of
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.usage.models import Dimension, Interval, Selection, Sums, UsageLine
from opencode_cloud.usage.service.chargeback import BETWEEN, SERVICE_ACCOUNTS

if TYPE_CHECKING:
    from opencode_cloud.usage.service import UsageReader

MOST_SPENDERS = 2000
"""The most members whose cost is read. The rest is one row, so that the rows add up to the total."""
SHOWN = 50
"""The most members of a group that are listed. The rest of them is one row."""
NO_GROUP = gettext_noop("no group")
OTHERS = gettext_noop("all others")


class CostRow(msgspec.Struct, frozen=True):
    """A row of the table: groups, a member of them, or the rest."""

    name: str
    sums: Sums
    tokens: int
    cost: str
    part: str
    """The share of the total cost, in percent."""
    query: str = ""
    """The query of the usage page that has these calls; empty if there is none."""


class GroupCost(msgspec.Struct, frozen=True):
    """The calls of all members who are in exactly the same groups."""

    whole: CostRow
    members: Sequence[CostRow]
    selection: Selection | None
    """The calls of the row; None: they cannot be selected."""


class GroupUsagePage:
    """Costs by group of members."""

    def __init__(self, app: ConsoleApp, reader: UsageReader) -> None:
        self._app = app
        self._reader = reader

    def mount(self) -> None:
        """Add the page."""
        PageRoutes(self._app, menu.USAGE).get("/usage/groups", self.show, Permission.USAGE_READ)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../usage/groups?from=2026-11-01&to=2026-11-30``: a range, by default the current month."""
        asked = view_of(request)
        # Filters of the usage page are left out: the rows are about all calls.
        interval = asked.interval if asked.interval is not Interval.HOUR else Interval.DAY
        view = View(asked.days, Dimension.MEMBER, interval, asked.measure, {})
        total = self._reader.total(request.actor, request.workspace.id, view.selection())
        rows = self._rows(request, view, total)
        today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
        following = view.days.after()
        return self._app.page(
            request,
            "group_usage.html",
            view=view,
            rows=rows,
            total=cost_row("", total, total),
            chart=self._chart(request, view, rows) if total.calls else None,
            intervals={each: words for each, words in INTERVALS.items() if each is not Interval.HOUR},
            measures=MEASURES,
            before=view.query(view.days.before()),
            after=view.query(following) if following else "",
            presets=months_of(view, today),
        )

    def _rows(self, request: PageRequest, view: View, total: Sums) -> list[GroupCost]:
        """Return a row for each combination of groups, the dearest first, and the rest."""
        actor, workspace_id = request.actor, request.workspace.id
        lines = self._reader.groups(actor, workspace_id, view.selection(), Dimension.MEMBER, None, MOST_SPENDERS)
        spenders = [line for line in lines if line.group]
        groups = self._reader.groups_of_members(workspace_id, spenders)
        names = self._reader.names(Dimension.MEMBER, spenders)
        sets: dict[tuple[str, ...], list[UsageLine]] = {}
        for line in spenders:
            sets.setdefault(tuple(groups.get(line.group or "", ())), []).append(line)
        rows = [self._group(view, combination, inside, names, total) for combination, inside in sets.items()]
        rows += [self._machines(view, line.sums, total) for line in lines if not line.group]
        rows.sort(key=lambda row: (-row.whole.sums.cost, row.whole.name))
        rest = less(total, [line.sums for line in lines])
        return [*rows, GroupCost(cost_row(_(OTHERS), rest, total), (), None)] if rest.calls else rows

    def _group(
        self,
        view: View,
        combination: Sequence[str],
        lines: Sequence[UsageLine],
        names: Mapping[str, str],
        total: Sums,
    ) -> GroupCost:
        """Return the row of the members who are in all groups of a combination, and in no other one."""
        ids = tuple(line.group or "" for line in lines)
        shown = [
            cost_row(names.get(member, member), line.sums, total, view.query(None, member=member))
            for member, line in zip(ids[:SHOWN], lines, strict=False)
        ]
        whole = summed([line.sums for line in lines])
        if len(lines) > SHOWN:
            shown.append(cost_row(_(OTHERS), less(whole, [line.sums for line in lines[:SHOWN]]), total))
        selection = msgspec.structs.replace(view.selection(), members=ids)
        return GroupCost(cost_row(BETWEEN.join(combination) or _(NO_GROUP), whole, total), shown, selection)

    def _machines(self, view: View, sums: Sums, total: Sums) -> GroupCost:
        """Return the row of service accounts, which are in no group."""
        selection = msgspec.structs.replace(view.selection(), only={Dimension.MEMBER: ""})
        query = view.query(None, by=str(Dimension.SERVICE_ACCOUNT))
        return GroupCost(cost_row(_(SERVICE_ACCOUNTS), sums, total, query), (), selection)

    def _chart(self, request: PageRequest, view: View, rows: Sequence[GroupCost]) -> Chart:
        """Return the drawing of the dearest rows, and of all others as one."""
        times = points(view)
        whole = self._series(request, view, view.selection(), len(times))
        stacks: list[tuple[str, Mapping[datetime, int]]] = [
            (row.whole.name, self._series(request, view, row.selection, len(times)))
            for row in rows[: SERIES - 1]
            if row.selection is not None
        ]
        rest = {time: whole.get(time, 0) - sum(each.get(time, 0) for _name, each in stacks) for time in times}
        if any(rest.values()):
            stacks.append((_(OTHERS), rest))
        shown = money.shown if view.measure == "cost" else "{:,}".format
        words = [
            [f"{time:%Y-%m-%d} UTC, {name}: {shown(values.get(time, 0))}" for time in times] for name, values in stacks
        ]
        return stacked(times, stacks, words)

    def _series(self, request: PageRequest, view: View, selection: Selection, most: int) -> Mapping[datetime, int]:
        number = MEASURES[view.measure][1]
        lines = self._reader.series(request.actor, request.workspace.id, selection, view.interval, None, None, most + 1)
        return {line.start: number(line.sums) for line in lines if line.start is not None}


def cost_row(name: str, sums: Sums, total: Sums, query: str = "") -> CostRow:
    """Return a row of the table."""
    tokens = MEASURES["tokens"][1](sums)
    return CostRow(name, sums, tokens, money.shown(sums.cost), percent(sums.cost, total.cost), query)


def summed(parts: Sequence[Sums]) -> Sums:
    """Return the sum of parts."""
    return Sums(**{name: sum(getattr(part, name) for part in parts) for name in Sums.__struct_fields__})
