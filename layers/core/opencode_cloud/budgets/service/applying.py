"""Select the budgets that a call counts towards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.access import KnownKey, KnownMember, KnownServiceAccount, KnownWorkspace
from opencode_cloud.contracts.budgets import BudgetScope, Counter, KnownBudget


def counters_of(
    workspace: KnownWorkspace,
    member: KnownMember | None,
    service_account: KnownServiceAccount | None,
    key: KnownKey | None,
    at: int,
) -> list[Counter]:
    """Return the counters of every budget that applies to a call of these at ``at`` (seconds since the epoch).

    They are the counters of the workspace and its balance, of the member, of the service account, and of the key. A
    member has their own budgets, and each `each_member` budget unless they have their own of the same unit and period.
    """
    counters = [counter(budget, at) for budget in workspace.budgets if budget.scope is not BudgetScope.EACH_MEMBER]
    if member is not None:
        counters += [counter(budget, at) for budget in member.budgets]
        counters += [counter(budget, at, member.id) for budget in _defaults(workspace, member)]
    for holder in (service_account, key):
        if holder is not None:
            counters += [counter(budget, at) for budget in holder.budgets]
    return counters


def _defaults(workspace: KnownWorkspace, member: KnownMember) -> Iterator[KnownBudget]:
    own = _kinds(member.budgets)
    for budget in workspace.budgets:
        if budget.scope is BudgetScope.EACH_MEMBER and (budget.unit, budget.period) not in own:
            yield msgspec.structs.replace(budget, name=member.email)


def _kinds(budgets: Iterable[KnownBudget]) -> set[tuple[str, str]]:
    return {(budget.unit, budget.period) for budget in budgets}
