"""Life for the demo workspace: calls of two months by several agents on many projects, full budgets, refusals.

Calls are written as the function `ledger` writes them, with the counters of the budgets that they count towards. So
totals, budgets and the nightly reconciliation agree.
"""

from __future__ import annotations

import random
from collections import Counter as Tally
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from opencode_cloud.budgets.models.documents import CreateBudget
from opencode_cloud.budgets.service.budgets import known_budget
from opencode_cloud.budgets.store import rows
from opencode_cloud.budgets.windows import counter
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Counter
from opencode_cloud.contracts.ids import CallId, GroupId, KeyId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.permissions import KeyScope
from opencode_cloud.contracts.usage import Outcome, SettledEvent, Tokens, UsageEvent
from opencode_cloud.keys.service import CreateKey
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.usage.service import Ingest
from opencode_cloud.usage.store.ledger import Ledger
from opencode_cloud.workspaces.models import ModelRules

if TYPE_CHECKING:
    from opencode_cloud.budgets.models.documents import Budget
    from opencode_cloud.budgets.services import BudgetServices
    from opencode_cloud.composition.control_plane import ControlPlane
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.keys.models import NewKey
    from opencode_cloud.workspaces.services import WorkspaceServices

CALLS, DAYS, BATCH = 6000, 60, 500
SEED = 20_26
AGENTS = {"opencode": 45, "claude-code": 25, "codex": 15, "gemini-cli": 10, "aider": 5}
"""Programs of clients, with their shares of the calls in percent."""
PROJECTS = (
    *("checkout", "web", "mobile", "search", "billing", "design-system", "data-pipeline", "infra", "docs", "auth"),
    *("notifications", "reports", "admin", "sdk-python", "sdk-go", "experiments", "support-bot", "etl", "edge", ""),
)
"""Projects, the busiest first; the last calls name none."""
PRICES = {
    "claude-sonnet-5": ("anthropic", 300, 1500),
    "claude-haiku-5": ("anthropic", 100, 500),
    "gpt-5.2": ("openai", 175, 1400),
    "gemini-3-flash": ("google", 50, 300),
}
"""Upstream, and micro-cents for a token of input and of output, by model."""
OUTCOMES = {Outcome.COMPLETED: 94, Outcome.CANCELLED: 3, Outcome.FAILED: 2, Outcome.INTERRUPTED: 1}
REFUSED = (
    ("gpt-5.2-pro", "model_not_allowed", 403, "The policy of this workspace does not allow the model gpt-5.2-pro."),
    ("claude-sonnet-5", "budget_exhausted", 402, "The monthly budget of the project checkout is used up."),
    ("claude-opus-5", "rate_limited", 429, "The limit of requests per minute of each member is reached."),
)


def arrival(pick: random.Random, now: datetime) -> datetime:
    """Return a moment of the last two months, mostly of the last weeks."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    # Early in a month, its budgets and its page of usage would be empty otherwise.
    if now - month < timedelta(days=2) and pick.random() < 0.125:
        return month + (now - month) * pick.random()
    return now - timedelta(minutes=DAYS * 1440 * pick.random() ** 1.3)


class DemoLife:
    """Writes the life of one workspace."""

    def __init__(
        self,
        plane: ControlPlane,
        team: WorkspaceServices,
        budgets: BudgetServices,
        budgets_table: str,
        owner: Actor,
        members: Sequence[MemberId],
    ) -> None:
        self._plane = plane
        self._team = team
        self._budgets = budgets
        self._table = budgets_table
        self._owner = owner
        self._members = members
        self._workspace: WorkspaceId = owner.workspace_id
        self._in_group: dict[str, dict[MemberId, str]] = {}
        """Members of each group, with their addresses."""
        self._random = random.Random(SEED)  # noqa: S311 - the demo is the same each time

    def write(self) -> str:
        """Create a service account, keys, groups and budgets, and record calls and refusals of the last two months.

        Return a key of the owner, with which sessions can be shared.
        """
        robot = self._team.service_accounts.create(self._owner, self._workspace, "ci-runner")
        laptop = self._key("laptop", None, KeyScope.INFERENCE, KeyScope.ADMIN)
        keys = [self._key("ci", robot.id, KeyScope.INFERENCE).id, laptop.id]
        platform = self._group("Platform", self._members[:2], None)
        research = self._group("Research", self._members[1:], ModelRules(deny=["*/*-pro*", "*/*opus*"]))
        limits = [
            *self._limits(),
            (BudgetScope.GROUP, platform, 60),
            (BudgetScope.EACH_IN_GROUP, research, 30),
        ]
        counters = [each for limit in limits for each in self._counters(self._budget(*limit))]
        events = [self._call(robot.id, keys) for _ in range(CALLS)]
        spent = self._take(events, counters)
        for each in counters:
            self._fill(each, spent[each.key])
        for refusal in REFUSED:
            self._refuse(*refusal)
        return laptop.secret

    def _key(self, name: str, robot: ServiceAccountId | None, *scopes: KeyScope) -> NewKey:
        wanted = CreateKey(name=name, scopes=scopes, service_account_id=robot)
        return self._team.keys.create(self._owner, self._workspace, wanted)

    def _group(self, name: str, members: Sequence[MemberId], models: ModelRules | None) -> GroupId:
        """Create a group of members."""
        groups = self._team.groups
        group = groups.create(self._owner, self._workspace, name, models)
        groups.change_members(self._owner, self._workspace, group.id, members)
        inside = groups.members_of(self._workspace, group.id)
        self._in_group[group.id] = {each.id: each.email for each in inside}
        return group.id

    def _counters(self, budget: Budget) -> list[Counter]:
        """Return the counters of a budget in its present window."""
        known, now = known_budget(budget), int(utc_now().timestamp())
        if budget.scope is not BudgetScope.EACH_IN_GROUP:
            return [counter(known, now)]
        # A member's own budget of the same period replaces that of the group.
        own = {subject for scope, subject, _ in self._limits() if scope is BudgetScope.MEMBER}
        members = {each: email for each, email in self._in_group[known.subject].items() if each not in own}
        named = {each: replace(known, name=f"{email} in group {known.name}") for each, email in members.items()}
        return [counter(of_member, now, each) for each, of_member in named.items()]

    def _limits(self) -> list[tuple[BudgetScope, str, int]]:
        """Return scope, subject and limit in dollars. Near the end of a month the last one has no room for a call."""
        return [
            (BudgetScope.WORKSPACE, "", 1000),
            (BudgetScope.PROJECT, "checkout", 40),
            (BudgetScope.PROJECT, "web", 45),
            (BudgetScope.MEMBER, self._members[-1], 10),
        ]

    def _budget(self, scope: BudgetScope, subject: str, dollars: int) -> Budget:
        wanted = CreateBudget(
            scope=scope, subject=subject, unit=BudgetUnit.COST, period=BudgetPeriod.MONTH, limit=dollars * DOLLAR
        )
        return self._budgets.budgets.create(self._owner, self._workspace, wanted)

    def _call(self, robot: ServiceAccountId, keys: Sequence[KeyId]) -> UsageEvent:
        pick = self._random
        at = arrival(pick, utc_now())
        by_robot = pick.random() < 0.15
        model = pick.choice([*PRICES])
        upstream, price_in, price_out = PRICES[model]
        tokens = Tokens(
            input=pick.randrange(200, 4000), output=pick.randrange(50, 2500), cache_read=pick.randrange(0, 60_000)
        )
        cost = tokens.input * price_in + tokens.output * price_out + tokens.cache_read * price_in // 10
        outcome = pick.choices([*OUTCOMES], weights=[*OUTCOMES.values()])[0]
        total = pick.randrange(900, 24_000)
        return UsageEvent(
            id=CallId(new_id("call")),
            at=int(at.timestamp() * 1000),
            workspace_id=self._workspace,
            member_id=MemberId("") if by_robot else pick.choice(self._members),
            service_account_id=robot if by_robot else ServiceAccountId(""),
            key_id=keys[0] if by_robot else keys[1] if pick.random() < 0.2 else KeyId(""),
            model=model,
            upstream=upstream,
            upstream_model=model,
            format="chat" if upstream == "openai" else "messages",
            streamed=True,
            tokens=tokens,
            cost=cost,
            charged=0,
            reserved=4 * cost,
            price="demo",
            catalogue=1,
            first_byte_ms=pick.randrange(200, 900),
            total_ms=total,
            attempts=2 if pick.random() < 0.03 else 1,
            outcome=outcome,
            status=502 if outcome is Outcome.FAILED else 200,
            error="upstream_failed" if outcome is Outcome.FAILED else "",
            project=PROJECTS[min(int(pick.expovariate(0.25)), len(PROJECTS) - 1)],
            agent=pick.choices([*AGENTS], weights=[*AGENTS.values()])[0],
            session=f"ses_demo{pick.randrange(400):04}",
            correlation_id=f"demo-{pick.randrange(2**48):012x}",
        )

    def _take(self, events: Sequence[UsageEvent], counters: Sequence[Counter]) -> Tally[str]:
        """Record the calls, each with the counters that it counts towards; return what each counter spent.

        A call that does not fit into a budget is left out, as the gateway would have refused it.
        """
        ingest, spent = Ingest(Ledger(self._plane.database)), Tally[str]()
        entries: list[SettledEvent] = []
        for event in sorted(events, key=lambda event: event.at):
            applied = [each for each in counters if self._applies(each, event)]
            if any(spent[each.key] + event.cost > each.budget.limit for each in applied):
                continue
            for each in applied:
                spent[each.key] += event.cost
            entries.append(SettledEvent(event=event, counters=tuple(each.key for each in applied)))
        for start in range(0, len(entries), BATCH):
            ingest.take(entries[start : start + BATCH])
        return spent

    def _applies(self, counted: Counter, event: UsageEvent) -> bool:
        """Tell whether a call counts towards a budget in its present window."""
        if event.at < counted.starts_at * 1000:
            return False
        budget = counted.budget
        if budget.scope is BudgetScope.GROUP:
            return event.member_id in self._in_group[budget.subject]
        subjects = {
            BudgetScope.WORKSPACE: "",
            BudgetScope.PROJECT: event.project,
            BudgetScope.MEMBER: event.member_id,
            BudgetScope.EACH_IN_GROUP: event.member_id,
        }
        return subjects.get(budget.scope) == budget.subject

    def _fill(self, filled: Counter, spent: int) -> None:
        """Write the row of a counter, as reservations and settlements would have left it."""
        amounts = {"spent": spent, "committed": spent, "reserved": 0}
        row = {name: {"N": str(value)} for name, value in amounts.items()}
        item = {**rows.counter_key(filled.key), **rows.description(filled, self._workspace), **row}
        aws.dynamodb().put_item(TableName=self._table, Item=item)

    def _refuse(self, model: str, rule: str, status: int, reason: str) -> None:
        facts = {"rule": rule, "status": status, "reason": reason}
        with self._plane.outbox.unit() as unit:
            self._plane.audit.record(
                unit.connection,
                self._owner,
                "call.refused",
                Target("model", model, model),
                workspace_id=self._workspace,
                after=facts,
            )
