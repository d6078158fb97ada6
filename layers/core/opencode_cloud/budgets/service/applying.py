"""Select the budgets that a call counts towards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.access import KnownKey, KnownMember, KnownServiceAccount, KnownWorkspace
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Counter, KnownBudget
from opencode_cloud.contracts.ids import BudgetId
from opencode_cloud.kit.clock import DAY_SECONDS

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

    They are the counters of the workspace and its balance, of the project, of the member, of the service account, of
    the key, and of the session. A member has their own budgets, and each `each_member` budget unless they have their
    own of the same unit and period. There are at most 58 (docs/budgets.md).

    Args:
        workspace: The workspace, with its policy.
        member: The caller, unless it is a service account.
        service_account: The caller, unless it is a member.
        key: The key of the call; None: a person's token.
        at: The time of the call.
        project: The project that the client names; empty: none.
        session: The pseudonym of the client's session; empty: the client names none.
    """
    own = [budget for budget in workspace.budgets if budget.scope not in (BudgetScope.EACH_MEMBER, BudgetScope.PROJECT)]
    own += [budget for budget in workspace.budgets if budget.scope is BudgetScope.PROJECT and budget.subject == project]
    counters = [counter(budget, at) for budget in own]
    if member is not None:
        counters += [counter(budget, at) for budget in member.budgets]
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
    own = _kinds(member.budgets)
    for budget in workspace.budgets:
        if budget.scope is BudgetScope.EACH_MEMBER and (budget.unit, budget.period) not in own:
            yield msgspec.structs.replace(budget, name=member.email)


def _kinds(budgets: Iterable[KnownBudget]) -> set[tuple[str, str]]:
    return {(budget.unit, budget.period) for budget in budgets}
