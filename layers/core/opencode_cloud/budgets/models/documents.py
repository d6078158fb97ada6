"""What people see and decide of budgets, as the API shows it; and the errors of deciding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from opencode_cloud.contracts.budgets import Period, Scope, Unit
from opencode_cloud.contracts.ids import BudgetId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.errors import Conflict, NotFound, Unprocessable
from opencode_cloud.kit.moments import Instant
from opencode_cloud.kit.nouns import Noun

LARGEST = 9_000_000_000_000_000
"""Of a limit: whole numbers that every JSON parser keeps; as micro-cents 90 million dollars."""


class StandingNow(Noun):
    """Where a budget stands in its present window, in its own unit."""

    spent: int
    reserved: int = Field(description="Held back by calls that are under way.")
    remaining: int = Field(description="What a new call may still take.")
    resets_at: Instant | None = Field(description="When the window ends; null: never.")


class Budget(Noun):
    """A budget or a rate limit as the API shows it."""

    id: BudgetId
    scope: Scope
    subject_id: str | None = Field(description="The member, service account or key that it bounds.")
    subject: str | None = Field(description="How people call the subject: an address, or a name.")
    unit: Unit
    period: Period
    limit: int = Field(description="In the unit: micro-cents (a dollar is 100,000,000), requests or tokens.")
    alerts: bool = Field(description="Whether people are told at 50, 80 and 100 %.")
    version: int = Field(description="Of this budget: its `ETag`.")
    created_by: str
    created_at: Instant
    updated_at: Instant
    standing: StandingNow | None = Field(
        default=None, description="Null for a budget that each member has, when it is shown to who is no member."
    )


class MemberStanding(Noun):
    """Where one subject of a budget stands."""

    subject_id: str | None
    subject: str | None
    standing: StandingNow


class Grant(Noun):
    """Money that was added to a prepaid balance, or taken from it."""

    id: str
    amount: int = Field(description="Micro-cents.")
    reason: str
    granted_by: str
    created_at: Instant


class Alert(Noun):
    """People were told that a part of a budget was used."""

    id: str
    budget_id: BudgetId
    subject_id: str | None
    name: str = Field(description="Of the budget, in words.")
    threshold: int = Field(description="Percent of the limit.")
    unit: Unit
    used: int
    limit: int
    window_start: Instant
    resets_at: Instant | None
    created_at: Instant
    webhook_at: Instant | None = Field(description="When the workspace's webhook took it.")


class Webhook(Noun):
    """Where alerts are posted to."""

    url: str
    updated_by: str
    updated_at: Instant


class NewWebhook(Webhook):
    """A webhook with the secret that its requests are signed under; it is shown this once."""

    secret: str


class UsageSettings(Noun):
    """What a workspace has set about its usage."""

    metadata_days: int = Field(description="How long client, user agent and address of a call are kept; 0: never.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks of a new budget."""

    scope: Scope
    unit: Unit
    period: Period
    limit: int
    subject: str = ""
    alerts: bool = True


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a budget bounds: how people call it, and what is to be projected when its budgets change."""

    name: str
    topic: Topic
    rows: tuple[tuple[str, Any], ...]
    """Subjects and payloads of messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which budgets somebody wants to see."""

    scope: Scope | None = None
    subject: str | None = None
    visible_to: str | None = None
    """A member or service account that sees only what bounds itself; None: all."""


def budget_not_found() -> NotFound:
    """There is no such budget in the workspace, or it is not the caller's to see: the same answer."""
    return NotFound("budget_not_found", "The workspace has no budget with this id.")


def budget_exists() -> Conflict:
    """There is one of the same subject, unit and period."""
    return Conflict("budget_exists", "There is a budget of this subject, unit and period already. Change its limit.")


def too_many_budgets(limit: int) -> Conflict:
    """A workspace has as many budgets as it may."""
    return Conflict("too_many_budgets", f"The workspace has {limit} budgets, the most that it may. Delete some.")


def invalid_budget(field: str, reason: str) -> Unprocessable:
    """A budget makes no sense."""
    return Unprocessable("invalid_budget", f"`{field}`: {reason}.")


def balance_is_granted() -> Conflict:
    """The balance is what was granted; nobody sets it."""
    return Conflict("balance_is_granted", "The balance is the sum of what was granted; it is not set or deleted.")


def grant_differs() -> Conflict:
    """The same idempotency key came with something else."""
    return Conflict("grant_differs", "Another amount was granted under this idempotency key. Nothing was granted now.")


def invalid_grant(reason: str) -> Unprocessable:
    """An amount cannot be granted."""
    return Unprocessable("invalid_grant", f"This cannot be granted: {reason}.")


def webhook_not_found() -> NotFound:
    """The workspace has no webhook for alerts."""
    return NotFound("webhook_not_found", "The workspace has no webhook for alerts.")


def invalid_webhook(reason: str) -> Unprocessable:
    """A webhook's address cannot be used."""
    return Unprocessable("invalid_webhook", f"`url` cannot be used: {reason}.")
