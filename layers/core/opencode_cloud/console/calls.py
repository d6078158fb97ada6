"""The pages of model calls: every served, failed and refused one, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import quote, urlencode

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.budgets.messages import amount
from opencode_cloud.budgets.service.budgets import known_budget
from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.budgets import row_of
from opencode_cloud.console.call_list import LONGEST, REFUSED_CALL, SHOWN, caller_of, filter_of
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.budgets import BudgetScope, Claim
from opencode_cloud.contracts.ids import BudgetId, CallId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.contracts.usage import Outcome
from opencode_cloud.http.pages import see
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_cursor, encode_cursor

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.budgets import BudgetService
    from opencode_cloud.console.call_list import CallList
    from opencode_cloud.contracts.usage import UsageEvent
    from opencode_cloud.usage.service import UsageReader

TOKENS = {
    "input": gettext_noop("Input"),
    "cache_read": gettext_noop("Read from a cache"),
    "cache_write": gettext_noop("Written to a cache, 5 minutes"),
    "cache_write_1h": gettext_noop("Written to a cache, 1 hour"),
    "output": gettext_noop("Output"),
    "reasoning": gettext_noop("of which reasoning"),
}


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
        calls: CallList,
        counters: CallCounters,
        budgets: BudgetService,
    ) -> None:
        self._app = app
        self._reader = reader
        self._calls = calls
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
        wanted = filter_of(request)
        show, days, only = wanted.show, wanted.days, wanted.only
        after = decode_cursor(request.query("cursor"), tuple[datetime, str])
        found = self._calls.newest(request, wanted, after, DEFAULT_LIMIT + 1)
        shown = found[:DEFAULT_LIMIT]
        asked = {"show": show, "from": days.first, "to": days.last, **only}
        more = encode_cursor((shown[-1].at, shown[-1].id)) if len(found) > DEFAULT_LIMIT else ""
        outcome = {"outcome": Outcome.REFUSED if show == "upstream" else show} if show and show != "refused" else {}
        period = {"from": f"{days.since:%Y-%m-%dT%H:%M:%SZ}", "to": f"{days.until:%Y-%m-%dT%H:%M:%SZ}"}
        # Calls of a range that is over, and those before a cursor, do not change.
        live = after is None and days.until > utc_now()
        return self._app.page(
            request,
            polls=live,
            live=urlencode({"show": show, "from": days.first, **only}) if live else "",
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
            caller=caller_of(stored),
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


def _of_refusals(only: Mapping[str, str]) -> dict[str, str]:
    """Return the filters of calls that refusals have too, by their names in the export of the audit trail."""
    names = {"model": "target", "caller": "actor"}
    return {names[name]: value for name, value in only.items() if name in names}
