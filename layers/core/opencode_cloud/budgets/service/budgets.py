"""Create, change, delete and list budgets, together with their present usage."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from opencode_cloud.audit.service import Recorder
from opencode_cloud.budgets.messages import title
from opencode_cloud.budgets.models.documents import (
    Budget,
    BudgetFilter,
    CreateBudget,
    CurrentUsage,
    Subject,
    SubjectUsage,
    balance_is_granted,
    budget_exists,
    budget_not_found,
    invalid_budget,
    session_budget_is_policy,
    too_many_budgets,
)
from opencode_cloud.budgets.service.group_budgets import GroupBudgets
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.budgets import (
    LARGEST_LIMIT,
    OF_GROUPS,
    PER_MEMBER,
    BudgetPeriod,
    BudgetScope,
    BudgetUnit,
    BudgetUsage,
    Counter,
    CreditEnd,
    KnownBudget,
)
from opencode_cloud.contracts.ids import BudgetId, GroupId, MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.contracts.projects import LONGEST_PROJECT, is_project
from opencode_cloud.kit.clock import now_seconds, utc_now
from opencode_cloud.kit.etags import check_version
from opencode_cloud.kit.ids import new_id

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.budgets.store.budgets import BudgetStore
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.outbox.service import Outbox, UnitOfWork

MOST_BUDGETS = 2000
"""The maximum number of budgets of one workspace."""
MOST_PROJECT_BUDGETS = 100
"""The maximum number of budgets of projects. They are in the workspace's row, which each call reads."""
MOST_GROUP_BUDGETS = 200
"""The maximum number of budgets of groups, for the same reason."""
_WITH_SUBJECT = OF_GROUPS | {BudgetScope.MEMBER, BudgetScope.SERVICE_ACCOUNT, BudgetScope.KEY, BudgetScope.PROJECT}


class CounterUsageReader(Protocol):
    """Reads the usage of counters."""

    def of(self, keys: Sequence[str]) -> Mapping[str, BudgetUsage]:
        """Return the usage of counters, by key."""
        ...


class BudgetService:
    """Create, change and list budgets. Without `budget:read`, callers see only budgets that apply to them."""

    def __init__(
        self, database: Database, outbox: Outbox, audit: AuditTrail, store: BudgetStore, usage: CounterUsageReader
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._record = Recorder[Budget](audit, "budget", lambda row: row.id, lambda row: title(known_budget(row)))
        self._store = store
        self._groups = GroupBudgets(store)
        self._usage = usage

    # ------------------------------------------------------------------------------------- looking

    def of_workspace(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        scope: BudgetScope | None = None,
        subject: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Budget]:
        """Return budgets with their present usage, ordered by id."""
        criteria = BudgetFilter(
            scope=scope, subject=subject, visible_to=None if actor.may(Permission.BUDGET_READ) else actor.id
        )
        with self._database.transaction() as connection:
            budgets = self._store.of_workspace(connection, workspace_id, criteria, after, limit)
            groups = self._store.groups_of(connection, MemberId(actor.id))
        return self._with_usage(actor, groups, budgets)

    def get(self, actor: Actor, workspace_id: WorkspaceId, budget_id: BudgetId) -> Budget:
        """Return a budget with its present usage; raises ``budget_not_found``."""
        with self._database.transaction() as connection:
            budget = self._of(connection, workspace_id, budget_id)
            if not actor.may(Permission.BUDGET_READ) and not self._store.visible(connection, budget_id, actor.id):
                raise budget_not_found()
            groups = self._store.groups_of(connection, MemberId(actor.id))
        return self._with_usage(actor, groups, [budget])[0]

    def usage_by_subject(
        self, workspace_id: WorkspaceId, budget_id: BudgetId, after: str | None = None, limit: int = 100
    ) -> Sequence[SubjectUsage]:
        """Return the usage of each subject of a budget: of every member, of a group's members, or of its only subject.

        Raises ``budget_not_found``.
        """
        with self._database.transaction() as connection:
            budget = self._of(connection, workspace_id, budget_id)
            if budget.scope not in PER_MEMBER:
                # A budget with one subject has one page only.
                members = [] if after is not None else [(budget.subject_id, budget.subject)]
            else:
                members = list(self._store.members_of(connection, workspace_id, after, limit, budget.subject_id))
        counters = [_counter(budget, subject if budget.scope in PER_MEMBER else None) for subject, _ in members]
        usages = self._usage.of([counter.key for counter in counters])
        return [
            SubjectUsage(subject_id=subject, subject=name, standing=current_usage(counter, usages[counter.key]))
            for (subject, name), counter in zip(members, counters, strict=True)
        ]

    # ------------------------------------------------------------------------------------- deciding

    def create(self, actor: Actor, workspace_id: WorkspaceId, request: CreateBudget) -> Budget:
        """Create a budget. It takes effect within seconds.

        Raises ``invalid_budget``, ``balance_is_granted``, ``budget_exists``, ``too_many_budgets`` or
        ``too_many_group_budgets``.
        """
        _check(request)
        now, budget_id = utc_now(), new_id("bud")
        row = {
            "id": budget_id,
            "workspace_id": workspace_id,
            "scope": request.scope,
            "subject_id": request.subject,
            "unit": request.unit,
            "period": request.period,
            "amount": request.limit,
            "alerts": int(request.alerts),
            "created_by": actor.name,
            "created_at": now,
            "updated_at": now,
        }
        with self._outbox.unit() as unit:
            self._store.lock(unit.connection, workspace_id)
            # Checked under the lock, so that concurrent requests cannot create duplicates or exceed the maximum.
            subject = self._store.subject(unit.connection, workspace_id, request.scope, request.subject)
            if subject is None:
                raise invalid_budget(
                    "subject_id", f"the workspace has no {request.scope.replace('_', ' ')} with this id"
                )
            if self._store.same(
                unit.connection, workspace_id, request.scope, request.subject, request.unit, request.period
            ):
                raise budget_exists()
            self._check_number(unit, workspace_id, request.scope)
            self._store.add(unit.connection, row)
            if request.scope in OF_GROUPS:
                self._groups.check(unit.connection, GroupId(request.subject))
            budget = self._of(unit.connection, workspace_id, BudgetId(budget_id))
            _emit_changes(unit, subject)
            self._record(unit, actor, "budget.created", workspace_id, budget, after=_as_record(budget))
            groups = self._store.groups_of(unit.connection, MemberId(actor.id))
        return self._with_usage(actor, groups, [budget])[0]

    def change(
        self, actor: Actor, workspace_id: WorkspaceId, budget_id: BudgetId, version: int, values: Mapping[str, Any]
    ) -> Budget:
        """Set ``limit`` or ``alerts``. The change takes effect within seconds; usage so far counts towards a new limit.

        Raises ``budget_not_found``, ``balance_is_granted``, or ``stale_version`` when ``version`` is not current.
        """
        columns = {"amount" if name == "limit" else name: int(value) for name, value in values.items()}
        with self._outbox.unit() as unit:
            budget, subject = self._changeable(unit, workspace_id, budget_id)
            check_version(version, budget.version)
            if columns:
                self._store.change(unit.connection, budget_id, columns, utc_now())
                _emit_changes(unit, subject)
            changed = self._of(unit.connection, workspace_id, budget_id)
            before, after = _as_record(budget), _as_record(changed)
            self._record(unit, actor, "budget.updated", workspace_id, budget, before=before, after=after)
            groups = self._store.groups_of(unit.connection, MemberId(actor.id))
        return self._with_usage(actor, groups, [changed])[0]

    def delete(self, actor: Actor, workspace_id: WorkspaceId, budget_id: BudgetId) -> None:
        """Delete a budget. The remaining budgets still apply. Raises ``budget_not_found`` or ``balance_is_granted``."""
        with self._outbox.unit() as unit:
            budget, subject = self._changeable(unit, workspace_id, budget_id)
            self._store.delete(unit.connection, budget_id)
            _emit_changes(unit, subject)
            self._record(unit, actor, "budget.deleted", workspace_id, budget, before=_as_record(budget))

    # ------------------------------------------------------------------------------------- internals

    def _of(self, connection: Connection, workspace_id: WorkspaceId, budget_id: BudgetId) -> Budget:
        budget = self._store.get(connection, workspace_id, budget_id)
        if budget is None:
            raise budget_not_found()
        return budget

    def _changeable(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, budget_id: BudgetId
    ) -> tuple[Budget, Subject | None]:
        self._store.lock(unit.connection, workspace_id)
        budget = self._of(unit.connection, workspace_id, budget_id)
        if budget.scope is BudgetScope.BALANCE:
            raise balance_is_granted()
        return budget, self._store.subject(unit.connection, workspace_id, budget.scope, budget.subject_id or "")

    def _check_number(self, unit: UnitOfWork, workspace_id: WorkspaceId, scope: BudgetScope) -> None:
        """Raise ``too_many_budgets`` when the workspace may have no further budget of this scope."""
        limits = [(MOST_BUDGETS, "", frozenset[BudgetScope]())]
        if scope is BudgetScope.PROJECT:
            limits.append((MOST_PROJECT_BUDGETS, " of projects", frozenset({scope})))
        if scope in OF_GROUPS:
            limits.append((MOST_GROUP_BUDGETS, " of groups", OF_GROUPS))
        for most, kind, scopes in limits:
            if self._store.count(unit.connection, workspace_id, scopes) >= most:
                raise too_many_budgets(most, kind)

    def _with_usage(self, actor: Actor, groups: Collection[str], budgets: Sequence[Budget]) -> Sequence[Budget]:
        """Return budgets with their usage: of the actor, who is in ``groups``, where each member is counted."""
        counters = {
            budget.id: _counter(budget, actor.id if budget.scope in PER_MEMBER else None)
            for budget in budgets
            if budget.scope not in PER_MEMBER
            or (budget.scope is BudgetScope.EACH_MEMBER and actor.kind is ActorKind.MEMBER)
            or budget.subject_id in groups
        }
        usages = self._usage.of([counter.key for counter in counters.values()])
        return [
            budget.model_copy(update={"limit": each.budget.limit, "standing": current_usage(each, usages[each.key])})
            if (each := counters.get(budget.id))
            else budget
            for budget in budgets
        ]


def known_budget(budget: Budget) -> KnownBudget:
    """Return a budget in the form that the gateway's calls use."""
    return KnownBudget(
        id=budget.id,
        scope=budget.scope,
        unit=budget.unit,
        period=budget.period,
        limit=budget.limit,
        subject=budget.subject_id or "",
        name=budget.subject or "",
        alerts=budget.alerts,
        ends=tuple(
            CreditEnd(at=int(each.at.replace(tzinfo=UTC).timestamp()), amount=each.amount) for each in budget.ends or ()
        ),
    )


def _counter(budget: Budget, subject: str | None) -> Counter:
    return counter(known_budget(budget), now_seconds(), subject or "")


def current_usage(counter: Counter, usage: BudgetUsage) -> CurrentUsage:
    """Return the usage of a counter as the API shows it."""
    return CurrentUsage(
        spent=usage.spent,
        reserved=usage.reserved,
        # A lowered limit can be below the usage.
        remaining=max(0, counter.budget.limit - usage.spent - usage.reserved),
        resets_at=None if counter.resets_at is None else datetime.fromtimestamp(counter.resets_at, UTC),
    )


def _check(request: CreateBudget) -> None:
    if request.scope is BudgetScope.BALANCE:
        raise balance_is_granted()
    if request.scope is BudgetScope.SESSION:
        raise session_budget_is_policy()
    if (request.scope in _WITH_SUBJECT) is not bool(request.subject):
        raise invalid_budget(
            "subject_id",
            "a budget of a member, service account, key, project or group names it, and no other budget does",
        )
    if request.scope is BudgetScope.PROJECT and not is_project(request.subject):
        raise invalid_budget(
            "subject_id", f"a project has at most {LONGEST_PROJECT} letters, digits, blanks and signs `._:/@+-`"
        )
    if request.period is BudgetPeriod.MINUTE and request.unit is BudgetUnit.COST:
        raise invalid_budget("period", "by the minute there are limits of requests and tokens, not of money")
    if not 0 <= request.limit <= LARGEST_LIMIT:
        raise invalid_budget("limit", f"it lies between 0 and {LARGEST_LIMIT}")


def _emit_changes(unit: UnitOfWork, subject: Subject | None) -> None:
    # A removed subject has no row that a projection could update.
    if subject is not None:
        for row, payload in subject.rows:
            unit.emit(subject.topic, row, payload)


def _as_record(budget: Budget) -> dict[str, Any]:
    """Return the values of a budget that audit entries record."""
    return budget.model_dump(include={"scope", "subject_id", "unit", "period", "limit", "alerts"}, mode="json")
