"""The overview of a workspace: first steps, this month's cost, full budgets, refused calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.audit.models import AuditFilter
from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.budgets import BudgetRow, row_of
from opencode_cloud.console.call_list import REFUSED_CALL
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.console.ranges import DayRange, month_of
from opencode_cloud.console.usage import change_of, forecast_of
from opencode_cloud.contracts.budgets import BudgetScope
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.policies.models import Policy, Versioned
from opencode_cloud.usage.models import Selection
from opencode_cloud.usage.service.reader import LONGEST

if TYPE_CHECKING:
    from opencode_cloud.audit.models import AuditRecord
    from opencode_cloud.audit.service import AuditReading
    from opencode_cloud.budgets.services import BudgetServices
    from opencode_cloud.policies.service import Publisher
    from opencode_cloud.usage.service import UsageReader
    from opencode_cloud.workspaces.services import WorkspaceServices

SHOWN = 5
"""The most budgets and refusals that the overview shows."""
MOST_BUDGETS = 200
"""The most budgets that are compared."""
SHARED = "share.created"


class FirstStep(msgspec.Struct, frozen=True):
    """A first step of a new workspace."""

    words: str
    why: str
    path: str
    done: bool


class Overview:
    """The overview of a workspace."""

    PAGE: ClassVar[ConsolePage] = menu.OVERVIEW

    def __init__(
        self,
        app: ConsoleApp,
        team: WorkspaceServices,
        publisher: Publisher,
        reading: AuditReading,
        usage: UsageReader,
        budgets: BudgetServices,
    ) -> None:
        self._app = app
        self._team = team
        self._publisher = publisher
        self._reading = reading
        self._usage = usage
        self._budgets = budgets

    def mount(self) -> None:
        """Add every page."""
        self._app.add(self.PAGE, self.show)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET /console/{workspace_id}``: the state of the workspace, and how to connect a client."""
        policy = self._publisher.current(Versioned.POLICY, request.workspace.id)
        month = month_of(utc_now())
        cost, before = self._cost(request, month), self._cost(request, month.before())
        budgets = self._budgets.budgets.of_workspace(request.actor, request.workspace.id, limit=MOST_BUDGETS)
        rows = [row_of(each) for each in budgets]
        steps = self._steps(request, [each for each in budgets if each.scope is not BudgetScope.BALANCE])
        return self._app.page(
            request,
            steps=steps,
            left=sum(not step.done for step in steps),
            month=month.since,
            cost=money.shown(cost),
            before=money.shown(before),
            change=change_of(cost, before),
            forecast=forecast_of(cost, month),
            full=_fullest(rows),
            refusals=self._refusals(request),
            policy=Policy.model_validate(policy.document),
            base_url=self._app.base_url(),
        )

    def _cost(self, request: PageRequest, days: DayRange) -> int:
        selection = Selection(since=days.since, until=days.until)
        return self._usage.total(request.actor, request.workspace.id, selection).cost

    def _refusals(self, request: PageRequest) -> Sequence[AuditRecord]:
        """Return the last refused calls, without ``usage:read`` only the actor's own."""
        own = "" if request.may(Permission.USAGE_READ) else request.actor.id
        return self._reading.find(request.workspace.id, AuditFilter(action=REFUSED_CALL, actor=own), None, SHOWN)

    def _steps(self, request: PageRequest, budgets: Sequence[Any]) -> list[FirstStep]:
        """Return the first steps for roles that can take them."""
        if not request.may(Permission.MEMBER_INVITE):
            return []
        workspace_id, team, now = request.workspace.id, self._team, utc_now()
        lately = Selection(since=now - LONGEST + timedelta(days=1), until=now)
        called = self._usage.events(request.actor, workspace_id, lately, None, 1)
        shared = self._reading.find(workspace_id, AuditFilter(action=SHARED), None, 1)
        others = len(team.members.members_of(workspace_id, limit=2)) > 1
        return [
            FirstStep(
                gettext_noop("Connect a client"),
                gettext_noop("Its first call shows up under Usage and Calls."),
                "/keys",
                bool(called),
            ),
            FirstStep(
                gettext_noop("Add a key of a model provider"),
                gettext_noop("Or use the models that the operator of this deployment offers."),
                "/providers",
                bool(team.credentials.of_workspace(workspace_id, limit=1)),
            ),
            FirstStep(
                gettext_noop("Invite your team"),
                gettext_noop("Several addresses at once, each with a role."),
                "/members",
                others or bool(team.invitations.of_workspace(workspace_id, limit=1)),
            ),
            FirstStep(
                gettext_noop("Set a budget"),
                gettext_noop("Calls beyond it are refused, with the reason."),
                "/budgets",
                bool(budgets),
            ),
            FirstStep(
                gettext_noop("Share a session"),
                gettext_noop("Type /share in opencode, and send the link."),
                "/shares",
                bool(shared),
            ),
        ]


def _fullest(rows: Sequence[BudgetRow]) -> list[BudgetRow]:
    """Return the budgets that are used up or nearly so, the fullest first."""
    full = [row for row in rows if row.bar.state in {"near", "blocked"}]
    return sorted(full, key=lambda row: (row.bar.state == "blocked", row.bar.spent + row.bar.reserved), reverse=True)[
        :SHOWN
    ]
