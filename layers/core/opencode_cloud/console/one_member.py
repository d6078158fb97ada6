"""The page of one member: groups, and the limits of the member's calls, explained in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from aws_lambda_powertools.event_handler import Response

from opencode_cloud.budgets.models.documents import EffectiveLimit
from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest, PageRoutes
from opencode_cloud.console.budget_names import amount_of, budget_name
from opencode_cloud.console.budgets import BudgetBar, bar_of
from opencode_cloud.contracts.access import groups_refusing
from opencode_cloud.contracts.budgets import BudgetScope, BudgetUnit, KnownBudget
from opencode_cloud.contracts.ids import GroupId, MemberId
from opencode_cloud.contracts.permissions import Permission, allows
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.effective_limits import EffectiveLimits
    from opencode_cloud.catalogue.service.caching import CatalogueCache
    from opencode_cloud.workspaces.models import Member
    from opencode_cloud.workspaces.service import Groups, Members

ORIGINS = {
    BudgetScope.WORKSPACE: gettext_noop("It is for all calls of the workspace."),
    BudgetScope.BALANCE: gettext_noop("It is what the workspace has paid for or was granted."),
    BudgetScope.MEMBER: gettext_noop("It was set for this member alone."),
    BudgetScope.EACH_MEMBER: gettext_noop("It was set for each member of the workspace."),
    BudgetScope.GROUP: gettext_noop("All members of the group share it."),
    BudgetScope.EACH_IN_GROUP: gettext_noop("Each member of the group has it for themselves."),
}
"""Where a limit comes from, by its scope."""


class LimitRow(msgspec.Struct, frozen=True):
    """A limit of a member, in words."""

    limit: EffectiveLimit
    name: str
    amount: str
    """Empty if the reader may not see it."""
    origin: str
    bar: BudgetBar


class ModelRow(msgspec.Struct, frozen=True):
    """A model, and the rule that refuses it to a member; empty: the member may use it."""

    name: str
    refused_by: str


class OneMemberPage:
    """The page of a member. Its limits are for the member, and for readers of budgets."""

    def __init__(
        self, app: ConsoleApp, members: Members, groups: Groups, limits: EffectiveLimits, catalogue: CatalogueCache
    ) -> None:
        self._app = app
        self._members = members
        self._groups = groups
        self._limits = limits
        self._catalogue = catalogue

    def mount(self) -> None:
        """Add the page."""
        PageRoutes(self._app, menu.MEMBERS).get("/members/<member_id>", self.show, Permission.MEMBER_READ)

    def show(self, request: PageRequest, member_id: MemberId) -> Response[str]:
        """``GET .../members/{member_id}``: groups and limits of a member."""
        workspace_id = request.workspace.id
        member = self._members.get(workspace_id, member_id)
        groups = self._groups.of_workspace(workspace_id, member_id=member_id)
        readable = member_id == request.actor.id or request.may(Permission.BUDGET_READ)
        limits = self._limits.of_member(request.actor, workspace_id, member_id) if readable else None
        rows = [row_of(limit, member, request.workspace.name) for limit in limits.budgets] if limits else []
        return self._app.page(
            request,
            "member.html",
            member=member,
            groups=groups,
            limits=limits,
            rows=rows,
            calls=allows(member.role, None, Permission.INFERENCE),
            tightest=tightest(rows),
            session=amount_of(BudgetUnit.COST, limits.session_budget) if limits and limits.session_budget else "",
            models=self._models(request, [group.id for group in groups]),
            rules=[rules for rules in limits.models if rules.group_id] if limits else [],
        )

    def _models(self, request: PageRequest, groups: Sequence[GroupId]) -> Sequence[ModelRow]:
        """Return the models of the catalogue, each with the rule that refuses it."""
        catalogue, workspace = self._catalogue.current(), request.workspace
        rows: list[ModelRow] = []
        for model in sorted(catalogue.models.values(), key=lambda each: each.id):
            refused_by = ""
            if not workspace.policy.permits_model(catalogue.provider, model.id):
                refused_by = _("the policy")
            elif refusing := groups_refusing(workspace, groups, f"{catalogue.provider}/{model.id}"):
                refused_by = ", ".join(_("group %(name)s", name=group.name) for group in refusing)
            rows.append(ModelRow(model.id, refused_by))
        return rows


def row_of(limit: EffectiveLimit, member: Member, workspace: str) -> LimitRow:
    """Return a limit in words."""
    names = {BudgetScope.WORKSPACE: workspace, BudgetScope.BALANCE: workspace, BudgetScope.MEMBER: member.email}
    known = KnownBudget(
        id=limit.budget_id,
        scope=limit.scope,
        unit=limit.unit,
        period=limit.period,
        limit=limit.limit or 0,
        subject=limit.group_id or "",
        name=names.get(limit.scope, limit.group or "each member"),
    )
    origin = _(ORIGINS[limit.scope])
    if limit.replaces:
        origin += " " + _("It replaces the more general limits of the same kind.")
    amount = "" if limit.limit is None else amount_of(limit.unit, limit.limit)
    return LimitRow(limit, budget_name(known), amount, origin, bar_of(limit.unit, limit.limit or 0, limit.standing))


def tightest(rows: Sequence[LimitRow]) -> LimitRow | None:
    """Return a limit that has nothing left, else the one of money that has the least.

    None if it is unknown: the reader may not see the usage of each limit.
    """
    left = [(row.limit.standing.remaining, row) for row in rows if row.limit.standing is not None]
    if used_up := [row for remaining, row in left if not remaining]:
        return used_up[0]
    if len(left) < len(rows):
        return None
    money = [(remaining, row) for remaining, row in left if row.limit.unit is BudgetUnit.COST]
    return min(money, key=lambda each: each[0])[1] if money else None
