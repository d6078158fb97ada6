"""The pages of model calls: every served, failed and refused one, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import quote, urlencode

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.audit.models import AuditFilter
from opencode_cloud.budgets.messages import amount
from opencode_cloud.budgets.service.budgets import known_budget
from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.budgets import row_of
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.console.ranges import DayRange, month_of, range_of
from opencode_cloud.contracts.budgets import BudgetScope, Claim
from opencode_cloud.contracts.ids import BudgetId, CallId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.contracts.usage import Outcome
from opencode_cloud.http.pages import see
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.languages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_cursor, encode_cursor
from opencode_cloud.usage.models import Dimension, Selection

if TYPE_CHECKING:
    from opencode_cloud.audit.models import AuditRecord
    from opencode_cloud.audit.service import AuditReading
    from opencode_cloud.budgets.service.budgets import BudgetService
    from opencode_cloud.contracts.usage import UsageEvent
    from opencode_cloud.usage.models import StoredEvent
    from opencode_cloud.usage.service import UsageReader

REFUSED_CALL = "call.refused"
"""The action of the audit trail that keeps a call refused before it reached an upstream."""
SHOWN = {
    "": gettext_noop("all calls"),
    "refused": gettext_noop("refused before an upstream"),
    **{each.value: each.value for each in Outcome if each is not Outcome.REFUSED},
    "upstream": gettext_noop("refused by an upstream"),
}
"""Values of the filter ``show``."""
FILTERS = {
    "model": Dimension.MODEL,
    "agent": Dimension.AGENT,
    "project": Dimension.PROJECT,
    "caller": Dimension.CALLER,
    "key": Dimension.KEY,
    "session": Dimension.SESSION,
}
"""Filters by the name in the query."""
LONGEST = 128
TOKENS = {
    "input": gettext_noop("Input"),
    "cache_read": gettext_noop("Read from a cache"),
    "cache_write": gettext_noop("Written to a cache, 5 minutes"),
    "cache_write_1h": gettext_noop("Written to a cache, 1 hour"),
    "output": gettext_noop("Output"),
    "reasoning": gettext_noop("of which reasoning"),
}


class CallRow(msgspec.Struct, frozen=True):
    """A call in the list: served, or refused before it reached an upstream."""

    at: datetime
    id: str
    refused: bool
    caller: str
    model: str
    key: str
    outcome: str
    status: int
    reason: str
    cost: str
    tokens: int
    agent: str
    project: str
    correlation_id: str


class TouchedBudget(msgspec.Struct, frozen=True):
    """A budget on which a call was settled."""

    name: str
    id: str
    """Empty if the budget has no page that the actor may open."""
    window: str
    counted: str
    """The amount that the call counts for."""


class CallCounters(Protocol):
    """Reads the counters of budgets that calls were settled on."""

    def counters_of(self, event: UsageEvent) -> Sequence[str] | None:
        """Return the keys of the counters; None if they are not kept any more."""
        ...


class CallPages:
    """The calls of the workspace, or only the actor's own without ``usage:read``."""

    PAGE: ClassVar[ConsolePage] = menu.CALLS

    def __init__(
        self,
        app: ConsoleApp,
        reader: UsageReader,
        reading: AuditReading,
        counters: CallCounters,
        budgets: BudgetService,
    ) -> None:
        self._app = app
        self._reader = reader
        self._reading = reading
        self._counters = counters
        self._budgets = budgets

    def mount(self) -> None:
        """Add every page."""
        routes = self._app.add(self.PAGE, self.show)
        routes.get("/calls/<call_id>", self.one, Permission.USAGE_OWN)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../calls?show=refused&model=...``: calls, the newest first."""
        if found := request.query("find"):
            return self._find(request, found[:LONGEST])
        show = request.query("show") if request.query("show") in SHOWN else ""
        days = range_of(request.query("from"), request.query("to"), month_of(utc_now()))
        only = {name: request.query(name)[:LONGEST] for name in FILTERS if request.query(name)}
        after = decode_cursor(request.query("cursor"), tuple[datetime, str])
        rows = [
            *self._served(request, show, days, only, after),
            *self._refused(request, show, days, only, after),
        ]
        rows.sort(key=lambda row: (row.at, row.id), reverse=True)
        shown = rows[:DEFAULT_LIMIT]
        asked = {"show": show, "from": days.first, "to": days.last, **only}
        more = encode_cursor((shown[-1].at, shown[-1].id)) if len(rows) > DEFAULT_LIMIT else ""
        outcome = {"outcome": Outcome.REFUSED if show == "upstream" else show} if show and show != "refused" else {}
        period = {"from": f"{days.since:%Y-%m-%dT%H:%M:%SZ}", "to": f"{days.until:%Y-%m-%dT%H:%M:%SZ}"}
        return self._app.page(
            request,
            calls=shown,
            show=show,
            kinds=SHOWN,
            days=days,
            only=only,
            filters=("model", "agent", "project"),
            more=urlencode({**asked, "cursor": more}) if more else "",
            export=urlencode({**period, **only, **outcome}),
            refusals=urlencode({**period, **_of_refusals(only), "action": REFUSED_CALL, "format": "csv"}),
        )

    def one(self, request: PageRequest, call_id: CallId) -> Response[str]:
        """``GET .../calls/{call_id}``: everything that is kept about one call."""
        stored = self._reader.event(request.actor, request.workspace.id, call_id)
        event = stored.event
        return self._app.page(
            request,
            "call.html",
            stored=stored,
            event=event,
            caller=_caller(stored),
            cost=money.shown(event.cost),
            charged=money.shown(event.charged),
            reserved=money.shown(event.reserved),
            tokens=[(words, getattr(event.tokens, name)) for name, words in TOKENS.items()],
            budgets=self._touched(request, event),
        )

    def _touched(self, request: PageRequest, event: UsageEvent) -> Sequence[TouchedBudget]:
        """Return the budgets on which a call was settled, as far as they are kept."""
        touched: list[TouchedBudget] = []
        for key in self._counters.counters_of(event) or ():
            kind, whose, *rest = key.split("#")
            if kind == BudgetScope.SESSION:
                touched.append(TouchedBudget(_("Budget of this session"), "", "", money.shown(event.cost)))
                continue
            try:
                budget = self._budgets.get(request.actor, request.workspace.id, BudgetId(whose.partition(":")[0]))
            except NotFound:
                touched.append(TouchedBudget(_("A budget that was deleted, or that you may not see"), "", "", ""))
                continue
            claim = Claim(cost=event.cost, charged=event.charged, tokens=event.tokens.total)
            counted = amount(budget.unit, claim.of(known_budget(budget)))
            touched.append(TouchedBudget(row_of(budget).name, budget.id, "#".join(rest), counted))
        return touched

    def _find(self, request: PageRequest, found: str) -> Response[str]:
        """Open the call with an id."""
        return see(f"{request.base}/calls/{quote(found, safe='')}")

    def _served(
        self,
        request: PageRequest,
        show: str,
        days: DayRange,
        only: Mapping[str, str],
        after: tuple[datetime, str] | None,
    ) -> Sequence[CallRow]:
        if show == "refused":
            return ()
        wanted = {FILTERS[name]: value for name, value in only.items()}
        if show:
            wanted[Dimension.OUTCOME] = Outcome.REFUSED if show == "upstream" else show
        selection = Selection(since=days.since, until=days.until, only=wanted)
        found = self._reader.events(request.actor, request.workspace.id, selection, after, DEFAULT_LIMIT + 1)
        return [_served(stored) for stored in found]

    def _refused(
        self,
        request: PageRequest,
        show: str,
        days: DayRange,
        only: Mapping[str, str],
        after: tuple[datetime, str] | None,
    ) -> Sequence[CallRow]:
        """Return refusals. They know model, caller and key, so other filters leave them out."""
        if show not in {"", "refused"} or not {*only} <= {"model", "caller"}:
            return ()
        own = "" if request.may(Permission.USAGE_READ) else request.actor.id
        caller = only.get("caller", "")
        if own and caller not in {"", own}:
            return ()
        wanted = AuditFilter(
            action=REFUSED_CALL,
            actor=own or caller,
            target=only.get("model", ""),
            since=days.since,
            until=days.until,
        )
        return [_refusal(each) for each in self._reading.find(request.workspace.id, wanted, after, DEFAULT_LIMIT + 1)]


def _of_refusals(only: Mapping[str, str]) -> dict[str, str]:
    """Return the filters of calls that refusals have too, by their names in the export of the audit trail."""
    names = {"model": "target", "caller": "actor"}
    return {names[name]: value for name, value in only.items() if name in names}


def _caller(stored: StoredEvent) -> str:
    event = stored.event
    return stored.member_name or stored.service_account_name or event.member_id or event.service_account_id


def _served(stored: StoredEvent) -> CallRow:
    event = stored.event
    return CallRow(
        at=stored.at,
        id=event.id,
        refused=False,
        caller=_caller(stored),
        model=event.model,
        key=stored.key_name,
        outcome=str(event.outcome),
        status=event.status,
        reason=event.error,
        cost=money.shown(event.cost),
        tokens=event.tokens.total,
        agent=event.agent,
        project=event.project,
        correlation_id=event.correlation_id,
    )


def _refusal(entry: AuditRecord) -> CallRow:
    facts = entry.after or {}
    by_key = entry.target_kind == "key"
    return CallRow(
        at=entry.at,
        id=entry.id,
        refused=True,
        caller=entry.actor_name or entry.actor_id,
        model="" if by_key else entry.target_name,
        key=entry.target_name if by_key else "",
        outcome=str(facts.get("rule", "refused")),
        status=int(facts.get("status", 0)),
        reason=str(facts.get("reason", "")),
        cost="",
        tokens=0,
        agent="",
        project="",
        correlation_id=entry.correlation_id,
    )
