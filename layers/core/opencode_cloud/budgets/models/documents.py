"""Budgets, grants, alerts and webhooks as the API shows them, and the errors of changing them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import Field

from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit
from opencode_cloud.contracts.ids import BudgetId, GroupId, MemberId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.errors import Conflict, NotFound, Unprocessable
from opencode_cloud.kit.instants import Instant


class ModelLimitSource(StrEnum):
    """The origin of rules for models."""

    POLICY = "policy"
    GROUP = "group"


class CurrentUsage(ApiModel):
    """Usage of a budget in its present window, in the budget's unit."""

    spent: int
    reserved: int = Field(description="Reserved by running calls.")
    remaining: int = Field(description="The amount that new calls can still reserve.")
    resets_at: Instant | None = Field(description="When the window ends; null: it never ends.")


class LimitEnd(ApiModel):
    """Promotional credit of a balance that ends, as far as calls have not used it."""

    at: Instant = Field(description="From then on it cannot be spent.")
    amount: int = Field(description="Micro-cents by which the limit falls then.")


class Budget(ApiModel):
    """A budget or a rate limit as the API shows it."""

    id: BudgetId
    scope: BudgetScope
    subject_id: str | None = Field(description="The member, service account, key, project or group of the budget.")
    subject: str | None = Field(description="The subject's display name: an email address, or a name.")
    unit: BudgetUnit
    period: BudgetPeriod
    limit: int = Field(description="In the unit: micro-cents (a dollar is 100,000,000), requests or tokens.")
    ends: list[LimitEnd] | None = Field(default=None, description="Parts of the balance that end; null: none.")
    alerts: bool = Field(description="Whether people are notified at 50, 80 and 100 %.")
    version: int = Field(description="The budget's version, which is its `ETag`.")
    created_by: str
    created_at: Instant
    updated_at: Instant
    standing: CurrentUsage | None = Field(
        default=None,
        description="Null for `each_member` and `each_in_group` if the caller is not one of their members.",
    )


class SubjectUsage(ApiModel):
    """Usage of a budget by one of its subjects."""

    subject_id: str | None
    subject: str | None
    standing: CurrentUsage


class EffectiveLimit(ApiModel):
    """A budget that counts the calls of a member, as the gateway applies it."""

    budget_id: BudgetId
    scope: BudgetScope = Field(description="Where the limit comes from.")
    name: str = Field(description="The budget in words.")
    group_id: GroupId | None = Field(description="The group of a budget with the scope `group` or `each_in_group`.")
    group: str | None = Field(description="The name of that group.")
    replaces: list[BudgetId] = Field(
        description="Budgets for each member, of the same unit and period, that this one replaces for the member."
    )
    unit: BudgetUnit
    period: BudgetPeriod
    limit: int | None = Field(description="In the unit; null if you may not see it.")
    standing: CurrentUsage | None = Field(description="The present usage; null if you may not see it.")


class ModelLimit(ApiModel):
    """Rules for models that apply to a member."""

    source: ModelLimitSource
    group_id: GroupId | None = Field(description="The group whose rules they are; null: the workspace's policy.")
    group: str | None = Field(description="The name of that group.")
    allow: list[str] | None = Field(description="Patterns of allowed models; null allows all.")
    deny: list[str] = Field(description="Patterns of denied models.")


class MemberLimits(ApiModel):
    """The limits of a member's calls, as the gateway applies them."""

    member_id: MemberId
    budgets: list[EffectiveLimit] = Field(description="Each call counts towards all of these.")
    models: list[ModelLimit] = Field(
        description="A model needs the policy's permission, and that of one group whose rules have a list. A denial by "
        "any of them wins."
    )
    session_budget: int | None = Field(
        description="The most that the calls of one session may cost, in micro-cents, by the policy; null: unlimited."
    )
    project_budgets: int = Field(
        description="The number of projects whose calls count towards a budget of the project."
    )


class BalanceGrant(ApiModel):
    """Money that was added to a prepaid balance, or taken from it."""

    id: str
    amount: int = Field(description="Micro-cents.")
    reason: str
    granted_by: str
    created_at: Instant


class Alert(ApiModel):
    """A notification that a percentage of a budget was used."""

    id: str
    budget_id: BudgetId
    subject_id: str | None
    name: str = Field(description="The budget's name in words.")
    threshold: int = Field(description="Percent of the limit.")
    unit: BudgetUnit
    used: int
    limit: int
    window_start: Instant
    resets_at: Instant | None
    created_at: Instant
    webhook_at: Instant | None = Field(description="When the workspace's webhook accepted it.")


class Webhook(ApiModel):
    """The address that alerts are posted to."""

    url: str
    updated_by: str
    updated_at: Instant


class NewWebhook(Webhook):
    """A webhook with the secret that signs its requests. The API shows the secret only here."""

    secret: str


class UsageSettings(ApiModel):
    """A workspace's settings of usage."""

    metadata_days: int = Field(description="Days that client, user agent and address of a call are kept; 0: never.")
    project_headers: list[str] = Field(
        default=[], description="Headers in which clients name their project, before `x-opencode-project`."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBudget:
    """The values of a budget to create."""

    scope: BudgetScope
    unit: BudgetUnit
    period: BudgetPeriod
    limit: int
    subject: str = ""
    alerts: bool = True


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject of budgets: its display name, and the outbox messages to publish when its budgets change."""

    name: str
    topic: Topic
    rows: tuple[tuple[str, Any], ...]
    """Row ids and payloads of the messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFilter:
    """A filter of budgets."""

    scope: BudgetScope | None = None
    subject: str | None = None
    visible_to: str | None = None
    """A member or service account that sees only the budgets that apply to it; None: all budgets."""


def budget_not_found() -> NotFound:
    """Return the error for a budget that does not exist or that the caller may not see; both give the same answer."""
    return NotFound("budget_not_found", "The workspace has no budget with this id.")


def budget_exists() -> Conflict:
    """Return the error for a second budget with the same subject, unit and period."""
    return Conflict("budget_exists", "There is a budget of this subject, unit and period already. Change its limit.")


def too_many_budgets(limit: int, kind: str = "") -> Conflict:
    """Return the error for a workspace that has reached its maximum number of budgets, or of a ``kind`` of them."""
    return Conflict("too_many_budgets", f"The workspace has {limit} budgets{kind}, the most that it may. Delete some.")


def too_many_group_budgets(limit: int) -> Conflict:
    """Return the error for a member who would have too many budgets by all of their groups."""
    return Conflict(
        "too_many_group_budgets",
        f"A member would have more than {limit} budgets by their groups, the most that one call counts towards. Delete "
        "a budget of a group, or take the member out of one.",
    )


def session_budget_is_policy() -> Unprocessable:
    """Return the error for setting a budget of sessions, whose limit is in the policy."""
    return Unprocessable("invalid_budget", "`scope`: the policy's `session_budget` limits each session.")


def invalid_budget(field: str, reason: str) -> Unprocessable:
    """Return the error for an invalid value of a budget's ``field``."""
    return Unprocessable("invalid_budget", f"`{field}`: {reason}.")


def balance_is_granted() -> Conflict:
    """Return the error for setting or deleting the balance, which is always the sum of the grants."""
    return Conflict("balance_is_granted", "The balance is the sum of all grants; it cannot be set or deleted.")


def grant_differs() -> Conflict:
    """Return the error for a known idempotency key that comes with another amount."""
    return Conflict("grant_differs", "Another amount was granted under this idempotency key. Nothing was granted now.")


def invalid_grant(reason: str) -> Unprocessable:
    """Return the error for an amount that cannot be granted."""
    return Unprocessable("invalid_grant", f"This cannot be granted: {reason}.")


def invalid_header(name: str) -> Unprocessable:
    """Return the error for a header that cannot name projects."""
    return Unprocessable(
        "invalid_header",
        f"`project_headers`: `{name[:64]}` cannot name projects. Choose a name such as `x-cost-center`: it begins with "
        "`x-`, and holds no word that stands for a secret or an address.",
    )


def webhook_not_found() -> NotFound:
    """Return the error for a workspace without a webhook."""
    return NotFound("webhook_not_found", "The workspace has no webhook for alerts.")


def invalid_webhook(reason: str) -> Unprocessable:
    """Return the error for a webhook's address that cannot be used."""
    return Unprocessable("invalid_webhook", f"`url` cannot be used: {reason}.")
