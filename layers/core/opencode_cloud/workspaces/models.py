"""Models of workspaces, members, groups, invitations, domains and service accounts; and the errors of the feature."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opencode_cloud.contracts.ids import (
    AccountId,
    DomainId,
    GroupId,
    InvitationId,
    MemberId,
    ServiceAccountId,
    WorkspaceId,
)
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.errors import (
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    TooManyRequests,
    Unprocessable,
)
from opencode_cloud.kit.etags import tag_of
from opencode_cloud.kit.instants import Instant

LEAST_AUDIT_DAYS, MOST_AUDIT_DAYS = 30, 3650
"""Limits of the retention of audit entries. A month lets owners notice what happened while they were away."""


class Workspace(ApiModel):
    """A team's tenant. It owns members, keys, policies and shares."""

    id: WorkspaceId
    name: str
    version: int
    """Number of changes so far; the entity tag."""
    audit_retention_days: int
    created_at: Instant
    updated_at: Instant
    blocked_at: Instant | None = None
    deleted_at: Instant | None = None
    purge_after: Instant | None = None
    """The time when a deleted workspace is purged. Until then an owner can restore it."""

    @property
    def alive(self) -> bool:
        """True if the workspace is neither blocked nor deleted."""
        return self.deleted_at is None and self.blocked_at is None


class Membership(ApiModel):
    """A workspace in the list of the workspaces of one person."""

    id: WorkspaceId
    name: str
    role: Role
    member_id: MemberId
    version: int
    created_at: Instant
    blocked_at: Instant | None = None
    deleted_at: Instant | None = None
    purge_after: Instant | None = None


class Member(ApiModel):
    """A person in a workspace."""

    id: MemberId
    account_id: AccountId
    email: str
    name: str
    role: Role
    created_at: Instant
    updated_at: Instant

    @property
    def tag(self) -> str:
        """The entity tag. A member's own name and address do not change it."""
        return tag_of(self.id, self.role, self.updated_at)


ModelPattern = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[!#-&(-z|~]+$")]
"""Printable characters of ASCII, but for blanks, quotation marks and braces."""
MOST_MODEL_PATTERNS = 50


class ModelRules(BaseModel):
    """Patterns of allowed and denied models, as `provider/model`. `*` matches any text, `?` matches one character."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: list[ModelPattern] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_MODEL_PATTERNS,
        description="Patterns of allowed models; null allows all. To allow none, deny `*`.",
    )
    deny: list[ModelPattern] = Field(
        default=[], max_length=MOST_MODEL_PATTERNS, description="Patterns of denied models, which override `allow`."
    )


class MemberGroup(ApiModel):
    """A group of members, with rules for their models. Its budgets are listed with the budgets."""

    id: GroupId
    name: str
    models: ModelRules | None = Field(description="Rules for the models of its members; null: none.")
    members: int = Field(description="The number of its members.")
    version: int = Field(description="The group's version, which is its `ETag`. Its members do not change it.")
    created_by: str
    created_at: Instant
    updated_at: Instant


class GroupMember(ApiModel):
    """A member in a group."""

    id: MemberId
    account_id: AccountId
    email: str
    name: str
    role: Role
    added_by: str
    added_at: Instant


class InvitationState(StrEnum):
    """State of an invitation."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    EXPIRED = "expired"
    """The time to answer is over. Never stored: it is a pending invitation whose expiry has passed."""


class InvitationDelivery(StrEnum):
    """Delivery state of the last mail of an invitation."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    FAILED = "failed"


class Invitation(ApiModel):
    """An invitation of an e-mail address to a workspace."""

    id: InvitationId
    workspace_id: WorkspaceId
    workspace_name: str
    email: str
    role: Role
    invited_by: str
    state: InvitationState
    created_at: Instant
    expires_at: Instant
    settled_at: Instant | None = None
    delivery: InvitationDelivery | None = None
    """Delivery state of the last mail."""
    delivery_reason: str = ""
    """The reason for which the last mail could not be delivered."""


class OwnInvitation(ApiModel):
    """An invitation as the invited person sees it."""

    id: InvitationId
    workspace_id: WorkspaceId
    workspace_name: str
    email: str
    role: Role
    invited_by: str
    expires_at: Instant


class Domain(ApiModel):
    """A mail domain of a workspace."""

    id: DomainId
    domain: str
    role: Role
    """Role of the people who join by this domain."""
    auto_join: bool
    created_at: Instant
    verified_at: Instant | None = None
    paused: bool = False
    """True when the member who last claimed, changed or verified it may no longer manage domains.

    Then no one joins by it until another member verifies it.
    """
    record_name: str = ""
    """Name of the TXT record that proves ownership."""
    record_value: str = ""
    """Required text of the TXT record."""

    @property
    def tag(self) -> str:
        """The entity tag. Further sightings of the DNS record do not change it."""
        return tag_of(self.id, self.role, self.auto_join, self.verified_at is not None)


class ServiceAccount(ApiModel):
    """A member that is not a person. It acts by its keys only."""

    id: ServiceAccountId
    name: str
    created_by: str
    creator_left: bool = False
    """True when the person who created it is no longer a member."""
    created_at: Instant
    updated_at: Instant
    disabled_at: Instant | None = None


def too_many_workspaces(limit: int) -> Conflict:
    """A person owns the largest permitted number of workspaces."""
    return Conflict("too_many_workspaces", f"You own {limit} workspaces, the most that one person may. Delete one.")


def transfer_to_self() -> Unprocessable:
    """The workspace would be transferred to its present owner."""
    return Unprocessable("transfer_to_self", "Name another member: the workspace is yours already.")


def not_deleted() -> Conflict:
    """The workspace is not deleted, so it cannot be restored."""
    return Conflict("not_deleted", "The workspace is not deleted.")


def last_owner() -> Conflict:
    """The change would leave the workspace without an owner."""
    return Conflict(
        "last_owner", "A workspace needs an owner. Make another member an owner first, or delete the workspace."
    )


def owners_only() -> Forbidden:
    """Only owners may appoint, change, invite and remove owners."""
    return Forbidden("owners_only", "Only an owner may make, change, invite or remove owners.")


def invalid_address(reason: str) -> Unprocessable:
    """The e-mail address is invalid."""
    return Unprocessable("invalid_address", f"This is not an e-mail address that mail can be sent to: {reason}")


def already_member() -> Conflict:
    """The invited person is already a member."""
    return Conflict("already_member", "A person with this address is a member already.")


def already_invited() -> Conflict:
    """There is an open invitation to this address."""
    return Conflict("already_invited", "This address has an open invitation. Resend it, or revoke it first.")


def too_many_invitations(limit: int) -> Conflict:
    """The workspace has the largest permitted number of open invitations."""
    return Conflict(
        "too_many_invitations", f"The workspace has {limit} open invitations, the most that it may. Revoke some."
    )


def resent_too_soon(retry_after: int) -> TooManyRequests:
    """The last mail of the invitation was sent too recently; ``retry_after`` is in seconds."""
    return TooManyRequests(
        "resent_too_soon", f"The last mail was sent a moment ago. Try again in {retry_after} s.", retry_after
    )


def invitation_not_found() -> NotFound:
    """The invitation does not exist, or is not for the caller. Both cases get the same answer."""
    return NotFound("invitation_not_found", "There is no invitation with this id or link, or it is not for you.")


def invitation_settled(state: InvitationState) -> Gone:
    """The invitation has been answered, withdrawn or has expired."""
    return Gone("invitation_settled", f"This invitation is {state}. Ask the workspace's admin for a new one.")


def invalid_domain() -> Unprocessable:
    """The mail domain is invalid."""
    return Unprocessable("invalid_domain", "This is not a mail domain, such as `example.com`.")


def invalid_domain_role() -> Unprocessable:
    """The role is too high for people who join by a mailbox in the domain."""
    return Unprocessable("invalid_domain_role", "People who join by their domain may become `member` or `viewer`.")


def domain_not_found() -> NotFound:
    """The workspace has no such domain."""
    return NotFound("domain_not_found", "The workspace has no domain with this id.")


def domain_exists() -> Conflict:
    """The workspace already has this domain."""
    return Conflict("domain_exists", "The workspace has this domain already.")


def domain_not_verified(name: str, value: str) -> Unprocessable:
    """The proof of ownership was not found."""
    return Unprocessable(
        "domain_not_verified",
        f"There is no TXT record `{name}` with the text `{value}` (yet: DNS may take an hour). Nothing was changed.",
    )


def service_account_not_found() -> NotFound:
    """The workspace has no such service account."""
    return NotFound("service_account_not_found", "The workspace has no service account with this id.")


def group_not_found() -> NotFound:
    """The workspace has no such group."""
    return NotFound("group_not_found", "The workspace has no group with this id.")


def group_exists() -> Conflict:
    """The workspace has another group with this name."""
    return Conflict("group_exists", "The workspace has a group with this name already.")


def too_many_groups(limit: int) -> Conflict:
    """The workspace has the largest permitted number of groups."""
    return Conflict("too_many_groups", f"The workspace has {limit} groups, the most that it may. Delete some.")


def too_many_group_patterns(limit: int) -> Conflict:
    """The rules of all groups of the workspace are longer than ``limit`` bytes together."""
    return Conflict(
        "too_many_group_patterns",
        f"The rules for models of all groups may have {limit // 1024} KB together. Use fewer patterns, or `*`.",
    )


def too_many_groups_of_member(limit: int) -> Conflict:
    """A member would be in too many groups."""
    return Conflict("too_many_groups_of_member", f"A member may be in {limit} groups. Nothing was changed.")


def unknown_group_members(members: Sequence[str]) -> Unprocessable:
    """Return the error for people of a change of a group who are no members of the workspace."""
    return Unprocessable("unknown_members", f"`add`: these are no members of the workspace: {', '.join(members)}.")


def retention_too_short() -> Unprocessable:
    """Return the error for a retention of the audit trail below the floor."""
    return Unprocessable("retention_too_short", f"Keep the audit trail for at least {LEAST_AUDIT_DAYS} days.")
