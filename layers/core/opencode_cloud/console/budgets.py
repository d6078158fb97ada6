"""The pages of budgets: all limits with their present usage, one budget by subject, alerts and their webhook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.budgets.models.documents import Budget, CreateBudget, CurrentUsage, webhook_not_found
from opencode_cloud.budgets.service.budgets import known_budget
from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.budget_names import amount_of, budget_name
from opencode_cloud.console.forms import Form, InvalidForm
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.budgets import OF_GROUPS, PER_MEMBER, BudgetPeriod, BudgetScope, BudgetUnit
from opencode_cloud.contracts.ids import BudgetId, GroupId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.kit import money
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.json_documents import DocumentFault
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, decode_cursor, decode_id, encode_cursor, page_of

if TYPE_CHECKING:
    from opencode_cloud.budgets.models.documents import Webhook
    from opencode_cloud.budgets.services import BudgetServices
    from opencode_cloud.workspaces.models import MemberGroup
    from opencode_cloud.workspaces.services import WorkspaceServices

NEAR = 80
"""The percentage of a limit from which on a budget counts as nearly used up."""
DELIVERIES = 20
"""The most deliveries to the webhook that the page shows."""
OFFERED = 200
"""The most members, service accounts and keys that the form offers."""
PERIODS = {
    BudgetPeriod.MONTH: gettext_noop("a month"),
    BudgetPeriod.DAY: gettext_noop("a day"),
    BudgetPeriod.HOUR: gettext_noop("an hour"),
    BudgetPeriod.MINUTE: gettext_noop("a minute"),
    BudgetPeriod.TOTAL: gettext_noop("in total"),
}
UNITS = {
    BudgetUnit.COST: gettext_noop("US dollars"),
    BudgetUnit.REQUESTS: gettext_noop("requests"),
    BudgetUnit.TOKENS: gettext_noop("tokens"),
}
SCOPES = {
    BudgetScope.WORKSPACE: gettext_noop("the whole workspace"),
    BudgetScope.EACH_MEMBER: gettext_noop("each member"),
    BudgetScope.MEMBER: gettext_noop("one member"),
    BudgetScope.SERVICE_ACCOUNT: gettext_noop("one service account"),
    BudgetScope.KEY: gettext_noop("one key"),
    BudgetScope.PROJECT: gettext_noop("one project"),
    BudgetScope.GROUP: gettext_noop("a group together"),
    BudgetScope.EACH_IN_GROUP: gettext_noop("each member of a group"),
}
"""Scopes that people set, in the words of the form. The balance and the budget of a session are set elsewhere."""


class BudgetBar(msgspec.Struct, frozen=True):
    """The usage of a budget as its bar shows it: parts of the limit in percent, and amounts in words."""

    state: str
    """``ok``, ``near`` or ``blocked``; empty if the usage is not known."""
    spent: float
    reserved: float
    used: str
    held: str
    left: str
    resets_at: datetime | None


class BudgetRow(msgspec.Struct, frozen=True):
    """A budget in the list."""

    budget: Budget
    name: str
    limit: str
    bar: BudgetBar


class BudgetPages:
    """Pages of budgets. Without ``budget:read``, people see only the budgets that apply to them."""

    PAGE: ClassVar[ConsolePage] = menu.BUDGETS

    def __init__(self, app: ConsoleApp, budgets: BudgetServices, team: WorkspaceServices) -> None:
        self._app = app
        self._budgets = budgets
        self._team = team

    def mount(self) -> None:
        """Add every page."""
        routes = self._app.add(self.PAGE, self.show)
        get, post = routes.get, routes.post
        own, read, manage, one = (
            Permission.BUDGET_OWN,
            Permission.BUDGET_READ,
            Permission.BUDGET_MANAGE,
            "/budgets/<budget_id>",
        )
        post("/budgets", self.create, manage, self.show)
        # Before the routes of one budget, whose id could be any word.
        get("/budgets/alerts", self.alerts, read)
        post("/budgets/alerts/webhook", self.set_webhook, manage, self.alerts)
        post("/budgets/alerts/webhook/test", self.test_webhook, manage, self.alerts)
        get("/budgets/alerts/webhook/remove", self.ask_remove_webhook, manage)
        post("/budgets/alerts/webhook/remove", self.remove_webhook, manage, self.alerts)
        get(one, self.one, own)
        post(one, self.change, manage, self.one)
        get(f"{one}/delete", self.ask_delete, manage)
        post(f"{one}/delete", self.delete, manage, self.show)

    def show(self, request: PageRequest, **_ids: str) -> Response[str]:
        """``GET .../budgets?scope=...``: budgets, on each page the fullest first, and a form for a new one."""
        scope = next((each for each in SCOPES if each == request.query("scope")), None)
        after = decode_id(request.query("cursor"))
        found = self._budgets.budgets.of_workspace(
            request.actor, request.workspace.id, scope, None, after, DEFAULT_LIMIT + 1
        )
        shown = found[:DEFAULT_LIMIT]
        rows = sorted(map(row_of, shown), key=lambda row: row.bar.spent + row.bar.reserved, reverse=True)
        return self._app.page(
            request,
            budgets=rows,
            scope=scope,
            scopes=SCOPES,
            units=UNITS,
            periods=PERIODS,
            more=encode_cursor((shown[-1].id,)) if len(found) > DEFAULT_LIMIT else "",
            subjects=self._subjects(request) if request.may(Permission.BUDGET_MANAGE) else {},
        )

    def create(self, request: PageRequest) -> Response[str]:
        """``POST .../budgets``: create a budget."""
        form = request.form
        scope, _, subject = form.one("subject").partition(":")
        if scope == BudgetScope.PROJECT:
            subject = form.one("project")
        faults: list[DocumentFault] = []
        unit = next((each for each in UNITS if each == form.one("unit")), BudgetUnit.COST)
        try:
            limit = _limit(form, unit)
        except InvalidForm as error:
            limit, faults = 0, [*faults, *error.faults]
        if scope not in SCOPES:
            faults.append(DocumentFault(path="/subject", message=gettext_noop("Choose one of the offered values")))
        if scope == BudgetScope.PROJECT and not subject:
            faults.append(DocumentFault(path="/project", message=gettext_noop("Name the project")))
        period = next((each for each in PERIODS if each == form.one("period")), BudgetPeriod.MONTH)
        if period is BudgetPeriod.MINUTE and unit is BudgetUnit.COST:
            faults.append(
                DocumentFault(
                    path="/period", message=gettext_noop("Choose requests or tokens for a limit by the minute")
                )
            )
        if faults:
            raise InvalidForm(faults)
        wanted = CreateBudget(
            scope=BudgetScope(scope),
            unit=unit,
            period=period,
            limit=limit,
            subject=subject,
            alerts=form.one("alerts") == "on",
        )
        self._budgets.budgets.create(request.actor, request.workspace.id, wanted)
        return see(f"{request.base}/budgets?done=budget")

    def one(self, request: PageRequest, budget_id: BudgetId) -> Response[str]:
        """``GET .../budgets/{budget_id}``: a budget, its usage by subject, and the form that changes it."""
        budget = self._budgets.budgets.get(request.actor, request.workspace.id, budget_id)
        start, subjects, more = decode_id(request.query("cursor")), (), None
        if request.may(Permission.BUDGET_READ) and budget.scope in PER_MEMBER:
            found = self._budgets.budgets.usage_by_subject(request.workspace.id, budget_id, start, DEFAULT_LIMIT + 1)
            page = page_of(found, DEFAULT_LIMIT, lambda row: (row.subject_id or "",), lambda row: row)
            subjects, more = page.data, page.next_cursor
        filled = request.form.one("limit") if request.failed else written(budget)
        return self._app.page(
            request,
            "budget.html",
            row=row_of(budget),
            filled=filled,
            unit=UNITS[budget.unit],
            subjects=[(each.subject, bar_of(budget.unit, budget.limit, each.standing)) for each in subjects],
            more=more or "",
        )

    def change(self, request: PageRequest, budget_id: BudgetId) -> Response[str]:
        """``POST .../budgets/{budget_id}``: set limit and alerts."""
        budget = self._budgets.budgets.get(request.actor, request.workspace.id, budget_id)
        values = {"limit": _limit(request.form, budget.unit), "alerts": request.form.one("alerts") == "on"}
        version = request.form.version()
        self._budgets.budgets.change(request.actor, request.workspace.id, budget_id, version, values)
        return see(f"{request.base}/budgets?done=limit")

    def ask_delete(self, request: PageRequest, budget_id: BudgetId) -> Response[str]:
        """``GET .../budgets/{budget_id}/delete``: say what the deletion does, and ask."""
        budget = self._budgets.budgets.get(request.actor, request.workspace.id, budget_id)
        return self._app.page(request, "delete_budget.html", row=row_of(budget))

    def delete(self, request: PageRequest, budget_id: BudgetId) -> Response[str]:
        """``POST .../budgets/{budget_id}/delete``."""
        self._budgets.budgets.delete(request.actor, request.workspace.id, budget_id)
        return see(f"{request.base}/budgets?done=unlimited")

    # ------------------------------------------------------------------------------------- alerts

    def alerts(self, request: PageRequest) -> Response[str]:
        """``GET .../budgets/alerts``: the alerts of the workspace, newest first, and the webhook that gets them."""
        before = decode_cursor(request.query("cursor"), tuple[datetime, str])
        found = self._budgets.alerts.of_workspace(request.workspace.id, before, DEFAULT_LIMIT + 1)
        shown = found[:DEFAULT_LIMIT]
        return self._app.page(
            request,
            "alerts.html",
            alerts=[(each, amount_of(each.unit, each.used), amount_of(each.unit, each.limit)) for each in shown],
            webhook=self._webhook(request),
            deliveries=self._budgets.deliveries.of_workspace(request.workspace.id, None, DELIVERIES),
            secret="",
            more=encode_cursor((shown[-1].created_at, shown[-1].id)) if len(found) > DEFAULT_LIMIT else "",
        )

    def set_webhook(self, request: PageRequest) -> Response[str]:
        """``POST .../budgets/alerts/webhook``: post alerts to a URL. The signing secret is shown once."""
        made = self._budgets.webhooks.set(request.actor, request.workspace.id, request.form.one("url"))
        return self._app.page(
            request, "alerts.html", alerts=[], webhook=made, deliveries=[], secret=made.secret, more=""
        )

    def test_webhook(self, request: PageRequest) -> Response[str]:
        """``POST .../budgets/alerts/webhook/test``."""
        self._budgets.webhooks.test(request.actor, request.workspace.id)
        return see(f"{request.base}/budgets/alerts?done=pinged")

    def ask_remove_webhook(self, request: PageRequest) -> Response[str]:
        """``GET .../budgets/alerts/webhook/remove``: say what the removal does, and ask."""
        webhook = self._budgets.webhooks.get(request.workspace.id)
        return self._app.page(request, "remove_webhook.html", webhook=webhook)

    def remove_webhook(self, request: PageRequest) -> Response[str]:
        """``POST .../budgets/alerts/webhook/remove``."""
        self._budgets.webhooks.remove(request.actor, request.workspace.id)
        return see(f"{request.base}/budgets/alerts?done=webhook")

    def _webhook(self, request: PageRequest) -> Webhook | None:
        try:
            return self._budgets.webhooks.get(request.workspace.id)
        except NotFound as error:
            if error.code != webhook_not_found().code:
                raise
            return None

    def _subjects(self, request: PageRequest) -> dict[str, Sequence[tuple[str, str]]]:
        """Return the subjects that the form offers, as ``scope:id`` and name, by heading."""
        workspace_id, team = request.workspace.id, self._team
        offered: dict[str, Sequence[tuple[str, str]]] = {
            "Members": [
                (f"{BudgetScope.MEMBER}:{each.id}", each.email)
                for each in team.members.members_of(workspace_id, limit=OFFERED)
            ]
        }
        groups = list(team.groups.of_workspace(workspace_id, limit=OFFERED))
        scope, _colon, chosen = request.form.one("subject").partition(":")
        # A corrected form must not limit another subject than the one that was chosen on the page of a group.
        if scope in OF_GROUPS and all(group.id != chosen for group in groups):
            groups.append(team.groups.get(workspace_id, GroupId(chosen)))
        offered[gettext_noop("Groups")] = [option for group in groups for option in group_subjects(group)]
        if request.may(Permission.SERVICE_ACCOUNT_READ):
            machines = team.service_accounts.of_workspace(workspace_id, limit=OFFERED)
            offered[gettext_noop("Service accounts")] = [
                (f"{BudgetScope.SERVICE_ACCOUNT}:{each.id}", each.name) for each in machines
            ]
        if request.may(Permission.KEY_MANAGE):
            keys = team.keys.of_workspace(request.actor, workspace_id, limit=OFFERED)
            offered[gettext_noop("Keys")] = [
                (f"{BudgetScope.KEY}:{each.id}", f"{each.name} of {each.holder}") for each in keys
            ]
        return {heading: each for heading, each in offered.items() if each}


def group_subjects(group: MemberGroup) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the subjects that a budget of a group can have, as ``scope:id`` and name."""
    return (
        (f"{BudgetScope.GROUP}:{group.id}", _("%(name)s, shared by all members", name=group.name)),
        (f"{BudgetScope.EACH_IN_GROUP}:{group.id}", _("%(name)s, each member", name=group.name)),
    )


def row_of(budget: Budget) -> BudgetRow:
    """Return a budget as the list shows it."""
    known = known_budget(budget)
    if budget.scope is BudgetScope.EACH_MEMBER:
        known = msgspec.structs.replace(known, name="each member")
    limit = amount_of(budget.unit, budget.limit)
    return BudgetRow(budget, budget_name(known), limit, bar_of(budget.unit, budget.limit, budget.standing))


def bar_of(unit: BudgetUnit, limit: int, usage: CurrentUsage | None) -> BudgetBar:
    """Return the bar of a budget. A budget with nothing left is blocked, also one whose limit is 0."""
    if usage is None:
        return BudgetBar("", 0, 0, "", "", "", None)
    whole = limit or 1
    spent = min(100.0, round(100 * usage.spent / whole, 1)) if limit else 100.0
    reserved = min(100.0 - spent, round(100 * usage.reserved / whole, 1))
    state = "blocked" if not usage.remaining else "near" if spent + reserved >= NEAR else "ok"
    held = amount_of(unit, usage.reserved) if usage.reserved else ""
    used, left = amount_of(unit, usage.spent), amount_of(unit, usage.remaining)
    return BudgetBar(state, spent, reserved, used, held, left, usage.resets_at)


def written(budget: Budget) -> str:
    """Return a limit as the form takes it: dollars, or a number."""
    return money.exact(budget.limit) if budget.unit is BudgetUnit.COST else str(budget.limit)


def _limit(form: Form, unit: BudgetUnit) -> int:
    """Return the limit of a form; raises :class:`InvalidForm`."""
    return form.dollars("limit") if unit is BudgetUnit.COST else form.whole("limit")
