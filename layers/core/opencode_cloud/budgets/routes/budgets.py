"""`/api/v1/workspaces/{workspace}/budgets`: budgets and rate limits, and their present usage."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, Field

from opencode_cloud.budgets.models.documents import BalanceGrant, Budget, CreateBudget, SubjectUsage
from opencode_cloud.contracts.budgets import LARGEST_LIMIT, BudgetPeriod, BudgetScope, BudgetUnit
from opencode_cloud.contracts.ids import BudgetId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.contracts.projects import LONGEST_PROJECT
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.etags import version_of_request
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.balance import Balance
    from opencode_cloud.budgets.service.budgets import BudgetService

TAG = "Budgets"
Amount = Annotated[
    int,
    Field(
        ge=0,
        le=LARGEST_LIMIT,
        description="In the budget's unit: micro-cents (a dollar is 100,000,000), requests or tokens. 0: nothing.",
    ),
]
OfScope = Annotated[BudgetScope | None, Query(description="Only budgets of this scope.")]
OfSubject = Annotated[
    str | None,
    Query(
        alias="subject",
        max_length=LONGEST_PROJECT,
        description="Only those of this member, account, key, project or group.",
    ),
]


class NewBudget(BaseModel):
    """A budget or rate limit to create."""

    scope: BudgetScope = Field(
        description="The subject of the budget. `each_member` and `each_in_group` are for members without their own "
        "budget; `group` is for all members of a group together."
    )
    subject_id: str | None = Field(
        default=None,
        max_length=LONGEST_PROJECT,
        description="The member, service account, key, project or group, if the scope is one.",
    )
    unit: BudgetUnit
    period: BudgetPeriod = Field(description="How often it resets, in UTC. `minute` is for requests and tokens.")
    limit: Amount
    alerts: bool = Field(default=True, description="Whether people are notified at 50, 80 and 100 %.")


class BudgetChange(BaseModel):
    """The values to change. Omitted values stay the same."""

    limit: Amount | None = None
    alerts: bool | None = None


class BudgetRoutes:
    """Routes of budgets."""

    def __init__(self, budgets: BudgetService, balance: Balance, gate: Gate) -> None:
        self._budgets = budgets
        self._balance = balance
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, one = self._gate.add, f"{WORKSPACE}/budgets", f"{WORKSPACE}/budgets/<budget_id>"
        own, read, manage = Permission.BUDGET_OWN, Permission.BUDGET_READ, Permission.BUDGET_MANAGE
        add(f"GET {all_}", self.list, own, "List budgets", TAG)
        add(f"POST {all_}", self.create, manage, "Set a budget", TAG, HTTPStatus.CREATED)
        add(f"GET {one}", self.get, own, "Read a budget", TAG)
        add(f"PATCH {one}", self.change, manage, "Change a budget", TAG)
        add(f"DELETE {one}", self.delete, manage, "Delete a budget", TAG, HTTPStatus.NO_CONTENT)
        add(f"GET {one}/standings", self.standings, read, "List the usage of a budget by subject", TAG)
        add(f"GET {WORKSPACE}/balance/grants", self.grants, read, "List grants to the balance", TAG)

    def list(
        self,
        workspace_id: WorkspaceId,
        scope: OfScope = None,
        subject: OfSubject = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[Page[Budget]]:
        """List budgets and rate limits with their present usage: all, or only those that apply to you."""
        start = decode_id(cursor)
        rows = self._budgets.of_workspace(self._gate.actor, workspace_id, scope, subject, start, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def create(self, workspace_id: WorkspaceId, body: NewBudget) -> Response[Budget]:
        """Create a budget. It takes effect within seconds, for calls that begin from then on.

        A call counts towards every budget that applies to it, also towards those of all groups of its member. A
        member's own budget replaces `each_in_group` of the same unit and period, and this replaces `each_member`.
        """
        request = CreateBudget(
            scope=body.scope,
            subject=body.subject_id or "",
            unit=body.unit,
            period=body.period,
            limit=body.limit,
            alerts=body.alerts,
        )
        budget = self._budgets.create(self._gate.actor, workspace_id, request)
        return document(budget, HTTPStatus.CREATED, version=budget.version)

    def get(self, workspace_id: WorkspaceId, budget_id: BudgetId) -> Response[Budget]:
        """Read a budget and its present usage. A change must send the header `ETag` as `If-Match`."""
        budget = self._budgets.get(self._gate.actor, workspace_id, budget_id)
        return document(budget, version=budget.version)

    def change(self, workspace_id: WorkspaceId, budget_id: BudgetId, body: BudgetChange) -> Response[Budget]:
        """Change the limit, or switch alerts on or off. Usage so far still counts. Needs `If-Match`."""
        version, values = version_of_request(self._gate.event), body.model_dump(exclude_none=True)
        budget = self._budgets.change(self._gate.actor, workspace_id, budget_id, version, values)
        return document(budget, version=budget.version)

    def delete(self, workspace_id: WorkspaceId, budget_id: BudgetId) -> Response[None]:
        """Delete a budget. The remaining budgets still apply."""
        self._budgets.delete(self._gate.actor, workspace_id, budget_id)
        return nothing()

    def standings(
        self, workspace_id: WorkspaceId, budget_id: BudgetId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[SubjectUsage]]:
        """List the usage of each subject of a budget in its present window.

        `each_member` lists every member, and `each_in_group` every member of the group.
        """
        after = decode_id(cursor)
        rows = self._budgets.usage_by_subject(workspace_id, budget_id, after, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.subject_id or "",), lambda row: row))

    def grants(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[BalanceGrant]]:
        """List grants to the prepaid balance, the newest first. The balance itself is listed with the budgets."""
        before = decode_id(cursor)
        rows = self._balance.grants(workspace_id, before, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))
