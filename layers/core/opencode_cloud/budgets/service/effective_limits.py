"""Explain which limits apply to a member, from the rows and by the rules by which the gateway applies them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opencode_cloud.budgets.messages import title
from opencode_cloud.budgets.models.documents import EffectiveLimit, MemberLimits, ModelLimit, ModelLimitSource
from opencode_cloud.budgets.service.applying import counters_of
from opencode_cloud.budgets.service.budgets import current_usage
from opencode_cloud.contracts.access import member_not_found
from opencode_cloud.contracts.budgets import OF_GROUPS, PER_MEMBER, BudgetScope, BudgetUsage, Counter, KnownBudget
from opencode_cloud.contracts.ids import AccountId, GroupId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit.clock import now_seconds

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.budgets import CounterUsageReader
    from opencode_cloud.budgets.store.budgets import BudgetStore
    from opencode_cloud.contracts.access import EnforcedRules, KnownMember, KnownWorkspace
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.sql import Database

_OF_MEMBER = OF_GROUPS | PER_MEMBER | {BudgetScope.MEMBER}
"""Scopes whose amounts the member may see without ``budget:read``."""
_NEARNESS = (BudgetScope.EACH_MEMBER, BudgetScope.EACH_IN_GROUP, BudgetScope.MEMBER)
"""Scopes that count a member on their own. A later one replaces an earlier one of the same unit and period."""


class Memberships(Protocol):
    """Reads the rows of a member as the gateway does."""

    def membership(self, account_id: AccountId, workspace_id: WorkspaceId) -> tuple[KnownMember, KnownWorkspace] | None:
        """Return a person's membership in a workspace; None without one."""
        ...


class EffectiveLimits:
    """Reads the limits of members."""

    def __init__(
        self, database: Database, store: BudgetStore, usage: CounterUsageReader, memberships: Memberships
    ) -> None:
        self._database = database
        self._store = store
        self._usage = usage
        self._memberships = memberships

    def of_member(self, actor: Actor, workspace_id: WorkspaceId, member_id: MemberId) -> MemberLimits:
        """Return the limits of a member; those of others need ``budget:read``.

        Raises ``member_not_found``, as budgets of others are not found.
        """
        if actor.id != member_id and not actor.may(Permission.BUDGET_READ):
            raise member_not_found()
        with self._database.transaction() as connection:
            account_id = self._store.account_of(connection, workspace_id, member_id)
        found = self._memberships.membership(account_id, workspace_id) if account_id else None
        if found is None:
            raise member_not_found()
        member, workspace = found
        counters = counters_of(workspace, member, None, None, now_seconds())
        usages = self._usage.of([counter.key for counter in counters])
        return MemberLimits(
            member_id=member_id,
            budgets=[_limit(actor, found, counter, usages[counter.key]) for counter in counters],
            models=_models(member, workspace),
            session_budget=workspace.policy.session_budget,
            project_budgets=len({each.subject for each in workspace.budgets if each.scope is BudgetScope.PROJECT}),
        )


def _limit(
    actor: Actor, membership: tuple[KnownMember, KnownWorkspace], counter: Counter, usage: BudgetUsage
) -> EffectiveLimit:
    member, workspace = membership
    budget = counter.budget
    source = next((each for each in workspace.budgets if each.id == budget.id), budget)
    in_group = budget.scope in OF_GROUPS
    seen = budget.scope in _OF_MEMBER or actor.may(Permission.BUDGET_READ)
    return EffectiveLimit(
        budget_id=budget.id,
        scope=budget.scope,
        name=title(budget),
        group_id=GroupId(source.subject) if in_group else None,
        group=source.name if in_group else None,
        replaces=[each.id for each in _replaced(member, workspace, budget)],
        unit=budget.unit,
        period=budget.period,
        limit=budget.limit if seen else None,
        standing=current_usage(counter, usage) if seen else None,
    )


def _replaced(member: KnownMember, workspace: KnownWorkspace, budget: KnownBudget) -> list[KnownBudget]:
    """Return the budgets that would count the member on their own if ``budget`` did not."""
    if budget.scope not in _NEARNESS:
        return []
    farther = _NEARNESS[: _NEARNESS.index(budget.scope)]
    return [
        each
        for each in workspace.budgets
        if each.scope in farther
        and (each.unit, each.period) == (budget.unit, budget.period)
        and (each.scope is BudgetScope.EACH_MEMBER or each.subject in member.groups)
    ]


def _models(member: KnownMember, workspace: KnownWorkspace) -> list[ModelLimit]:
    policy = workspace.policy.models
    by_policy = [_rules(policy)] if policy.allow is not None or policy.deny else []
    groups = [group for group in workspace.groups if group.id in member.groups]
    return [*by_policy, *(_rules(group.models, group.id, group.name) for group in groups)]


def _rules(rules: EnforcedRules, group_id: GroupId | None = None, group: str | None = None) -> ModelLimit:
    return ModelLimit(
        source=ModelLimitSource.GROUP if group_id else ModelLimitSource.POLICY,
        group_id=group_id,
        group=group,
        allow=None if rules.allow is None else list(rules.allow),
        deny=list(rules.deny),
    )
