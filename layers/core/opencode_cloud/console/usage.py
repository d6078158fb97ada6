"""The usage page: a month's total, its days, and the models, members and keys with the highest cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.usage.models import Dimension, Interval, Selection, UsageLine

if TYPE_CHECKING:
    from opencode_cloud.usage.service import UsageReader

TOP = 10
FIRST = datetime(2020, 1, 1)  # noqa: DTZ001 - UTC without a zone, as in SQL
"""The first month that can be shown."""
BAR, HEIGHT = 10, 80
"""Width of a day's bar and height of the highest bar, in units of the drawing."""


class Bar(msgspec.Struct, frozen=True):
    """The bar of one day."""

    x: int
    y: int
    height: int
    words: str


class Ranked(msgspec.Struct, frozen=True):
    """One line of a list."""

    name: str
    cost: str
    calls: int


class UsagePages:
    """The usage of a month: all calls, or only the actor's own without ``usage:read``."""

    PAGE: ClassVar[ConsolePage] = ConsolePage("/usage", "Usage", Permission.USAGE_OWN, "usage.html", "Activity")

    def __init__(self, app: ConsoleApp, reader: UsageReader) -> None:
        self._app = app
        self._reader = reader

    def mount(self) -> None:
        """Add every page."""
        self._app.add(self.PAGE, self.show)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../usage?month=2026-11``: show a month, by default the current one."""
        since, until = month_of(request.query("month"))
        wanted = Selection(since=since, until=until)
        total = self._reader.total(request.actor, request.workspace.id, wanted)
        days = self._reader.series(request.actor, request.workspace.id, wanted, Interval.DAY, None, None, 31)
        shown = [("Models", Dimension.MODEL), ("Keys", Dimension.KEY)]
        if request.may(Permission.USAGE_READ):
            shown.insert(1, ("Members", Dimension.MEMBER))
        return self._app.page(
            request,
            month=since,
            before=f"{since - timedelta(days=1):%Y-%m}",
            after=f"{until:%Y-%m}" if until <= utc_now() else "",
            cost=money.shown(total.cost),
            charged=money.shown(total.charged),
            total=total,
            bars=bars(days, since, until),
            width=(until - since).days * BAR,
            height=HEIGHT,
            lists=[(words, self._ranked(request, wanted, dimension)) for words, dimension in shown],
        )

    def _ranked(self, request: PageRequest, wanted: Selection, by: Dimension) -> list[Ranked]:
        lines = self._reader.groups(request.actor, request.workspace.id, wanted, by, None, TOP)
        names = self._reader.names(by, lines)
        return [
            Ranked(names.get(line.group, line.group), money.shown(line.sums.cost), line.sums.calls)
            for line in lines
            if line.group
        ]


def month_of(word: str) -> tuple[datetime, datetime]:
    """Return the first days of the month ``YYYY-MM`` and of the next month. An invalid word means this month."""
    now = utc_now()
    try:
        since = datetime.fromisoformat(f"{word}-01")
    except ValueError:
        since = now
    since = min(max(since, FIRST), now).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    # No month has more than 31 days, so 32 days after the first is always in the next month.
    return since, (since + timedelta(days=32)).replace(day=1)


def bars(days: Sequence[UsageLine], since: datetime, until: datetime) -> list[Bar]:
    """Return a bar for each day of the month, scaled so that the highest cost fills the drawing."""
    costs = {line.start: line.sums.cost for line in days}
    most = max(costs.values(), default=0) or 1
    drawn: list[Bar] = []
    for number in range((until - since).days):
        day = since + timedelta(days=number)
        cost = costs.get(day, 0)
        # Any non-zero cost gets a visible bar.
        height = max(1, HEIGHT * cost // most) if cost else 0
        drawn.append(Bar(number * BAR, HEIGHT - height, height, f"{day:%Y-%m-%d}: {money.shown(cost)}"))
    return drawn
