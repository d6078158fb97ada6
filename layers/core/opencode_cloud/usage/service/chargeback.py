"""Charge the usage of a month on to the departments of a company: cost with a mark-up, in whole cents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import rounding
from opencode_cloud.kit.money import CENT
from opencode_cloud.usage.models import Dimension, Selection
from opencode_cloud.usage.service.rollups import next_month

if TYPE_CHECKING:
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.usage.models import UsageLine
    from opencode_cloud.usage.service.reader import UsageReader

AT_ONCE = 1000
BETWEEN = " + "
"""Stands between the names of groups that members are in together."""
SERVICE_ACCOUNTS = "service accounts"
"""Name of their line in a chargeback by group: they are in no group, as some people are."""


class ChargebackLine(msgspec.Struct, frozen=True):
    """The usage of one group."""

    group: str
    """The id of a member or key, or the name of a project, model or group; empty for calls without one."""
    name: str
    calls: int
    cost: int
    """In micro-cents, without the mark-up."""
    cents: int
    """With the mark-up. Lines add up to the total."""


class Chargeback(msgspec.Struct, frozen=True):
    """A month of a workspace, as a company bills its departments."""

    month: str
    by: Dimension | None
    """None: the groups of members."""
    markup: Fraction
    lines: tuple[ChargebackLine, ...]
    cents: int


def marked_up(costs: Sequence[int], markup: Fraction) -> list[int]:
    """Return costs in micro-cents times a mark-up in whole cents: the total is rounded once, half up."""
    # Integers of a finer unit, so that nothing is rounded before the end.
    unit = CENT * markup.denominator
    return [each // unit for each in rounding.lines([cost * markup.numerator for cost in costs], unit)]


class ChargebackReader:
    """Makes chargebacks from the sums of usage. They need neither a ledger nor Stripe."""

    def __init__(self, usage: UsageReader) -> None:
        self._usage = usage

    def month(
        self, actor: Actor, workspace_id: WorkspaceId, month: datetime, by: Dimension | None, markup: Fraction
    ) -> Chargeback:
        """Return the calls that arrived in a month (UTC), grouped by ``by``; the most expensive group first.

        None groups by the present groups of members. Members who are in exactly the same groups have one line.
        """
        wanted = Selection(since=month, until=next_month(month))
        found = list[tuple[str, str, int, int]]()
        sets: dict[tuple[str, ...] | None, tuple[int, int]] = {}
        for page in self._pages(actor, workspace_id, wanted, by or Dimension.MEMBER):
            if by is None:
                self._add_to_sets(workspace_id, page, sets)
                continue
            names = self._usage.names(by, page)
            found += [(each, names.get(each, each), line.sums.calls, line.sums.cost) for each, line in _by_group(page)]
        found += sorted(
            ((*_described(names), *sums) for names, sums in sets.items()), key=lambda line: (-line[3], line[:2])
        )
        cents = marked_up([cost for *_, cost in found], markup)
        lines = tuple(ChargebackLine(*line, amount) for line, amount in zip(found, cents, strict=True))
        return Chargeback(f"{month:%Y-%m}", by, markup, lines, sum(cents))

    def _pages(
        self, actor: Actor, workspace_id: WorkspaceId, wanted: Selection, by: Dimension
    ) -> Iterator[Sequence[UsageLine]]:
        after = None
        while True:
            page = self._usage.groups(actor, workspace_id, wanted, by, after, AT_ONCE)
            yield page
            if len(page) < AT_ONCE:
                return
            after = (page[-1].sums.cost, page[-1].group or "")

    def _add_to_sets(
        self, workspace_id: WorkspaceId, page: Sequence[UsageLine], sets: dict[tuple[str, ...] | None, tuple[int, int]]
    ) -> None:
        """Add calls and cost of members to the set of groups that each is in. Service accounts have the set None."""
        groups = self._usage.groups_of_members(workspace_id, page)
        for member, line in _by_group(page):
            names = tuple(groups.get(member, ())) if member else None
            calls, cost = sets.get(names, (0, 0))
            sets[names] = (calls + line.sums.calls, cost + line.sums.cost)


def _described(names: tuple[str, ...] | None) -> tuple[str, str]:
    """Return the value and the name of a line, by the names of its groups."""
    return ("", SERVICE_ACCOUNTS) if names is None else (BETWEEN.join(names), BETWEEN.join(names))


def _by_group(page: Sequence[UsageLine]) -> Iterator[tuple[str, UsageLine]]:
    """Return the lines with their groups; the group of calls without one is empty."""
    return ((line.group or "", line) for line in page)
