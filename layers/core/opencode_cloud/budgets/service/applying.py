"""Select the budgets that a call counts towards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.access import KnownKey, KnownMember, KnownServiceAccount, KnownWorkspace
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Counter, KnownBudget
from opencode_cloud.contracts.ids import BudgetId
from opencode_cloud.kit.clock import DAY_SECONDS

_WHOLE = frozenset({BudgetScope.WORKSPACE, BudgetScope.BALANCE})
UNUSED_SESSION_DAYS = 30
"""Days without a call after which the counter of a session is deleted."""


def counters_of(
    workspace: KnownWorkspace,
    member: KnownMember | None,
    service_account: KnownServiceAccount | None,
    key: KnownKey | None,
    at: int,
    *,
    project: str = "",
    session: str = "",
) -> list[Counter]:
    """Return the counters of every budget that applies to a call of these at ``at`` (seconds since the epoch).

    They are the counters of the workspace and its balance, of the project, of the member and the member's groups, of
    the service account, of the key, and of the session. There are at most 94 (docs/budgets.md).

    Args:
        workspace: The workspace, with its policy.
        member: The caller, unless it is a service account.
        service_account: The caller, unless it is a member.
        key: The key of the call; None: a person's token.
        at: The time of the call.
        project: The project that the client names; empty: none.
        session: The pseudonym of the client's session; empty: the client names none.
    """
    own = [budget for budget in workspace.budgets if budget.scope in _WHOLE]
    own += [budget for budget in workspace.budgets if budget.scope is BudgetScope.PROJECT and budget.subject == project]
    counters = [counter(budget, at) for budget in own]
    if member is not None:
        counters += [counter(budget, at) for budget in member.budgets]
        counters += [counter(budget, at) for budget in _of_groups(workspace, member, BudgetScope.GROUP)]
        counters += [counter(budget, at, member.id) for budget in _defaults(workspace, member)]
    for holder in (service_account, key):
        if holder is not None:
            counters += [counter(budget, at) for budget in holder.budgets]
    if session and workspace.policy.session_budget is not None:
        counters.append(_of_session(workspace, session, workspace.policy.session_budget, at))
    return counters


def _of_session(workspace: KnownWorkspace, session: str, limit: int, at: int) -> Counter:
    budget = KnownBudget(
        id=BudgetId("session_budget"),
        scope=BudgetScope.SESSION,
        unit=BudgetUnit.COST,
        period=BudgetPeriod.TOTAL,
        limit=limit,
        subject=session,
        alerts=False,
    )
    unused_until = at + UNUSED_SESSION_DAYS * DAY_SECONDS
    return Counter(key=f"session#{workspace.id}#{session}", budget=budget, resets_at=None, unused_until=unused_until)


def _defaults(workspace: KnownWorkspace, member: KnownMember) -> Iterator[KnownBudget]:
    """Return the budgets that count each member on their own; the nearer one of a unit and period replaces others.

    A member's own budget replaces those of groups, and these replace that of each member of the workspace.
    """
    own = _kinds(member.budgets)
    nearer = [b for b in _of_groups(workspace, member, BudgetScope.EACH_IN_GROUP) if _kind(b) not in own]
    for budget in nearer:
        yield msgspec.structs.replace(budget, name=f"{member.email} in group {budget.name}")
    named = own | _kinds(nearer)
    for budget in workspace.budgets:
        if budget.scope is BudgetScope.EACH_MEMBER and _kind(budget) not in named:
            yield msgspec.structs.replace(budget, name=member.email)


def _of_groups(workspace: KnownWorkspace, member: KnownMember, scope: BudgetScope) -> list[KnownBudget]:
    return [each for each in workspace.budgets if each.scope is scope and each.subject in member.groups]


def _kinds(budgets: Iterable[KnownBudget]) -> set[tuple[str, str]]:
    return {_kind(budget) for budget in budgets}


def _kind(budget: KnownBudget) -> tuple[str, str]:
    return budget.unit, budget.period
