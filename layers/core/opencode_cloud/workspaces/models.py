"""The nouns of workspaces: members, invitations, domains, service accounts; and the errors of the feature."""

from __future__ import annotations

from enum import StrEnum

from opencode_cloud.contracts.ids import AccountId, DomainId, InvitationId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    TooManyRequests,
    Unprocessable,
)
from opencode_cloud.kit.moments import Instant
from opencode_cloud.kit.nouns import Noun


class Workspace(Noun):
    """A team's place: it owns members, keys, policies and shares."""

    id: WorkspaceId
    name: str
    version: int
    """Counts changes; the entity tag."""
    audit_retention_days: int
    created_at: Instant
    updated_at: Instant
    blocked_at: Instant | None = None
    deleted_at: Instant | None = None
    purge_after: Instant | None = None
    """From when on a deleted workspace is gone for good; until then an owner can restore it."""

    @property
    def alive(self) -> bool:
        """Whether anything may be done in it."""
        return self.deleted_at is None and self.blocked_at is None


class Membership(Noun):
    """A workspace as one of its members sees it in the list of their own."""

    id: WorkspaceId
    name: str
    role: Role
    member_id: MemberId
    version: int
    created_at: Instant
    blocked_at: Instant | None = None
    deleted_at: Instant | None = None
    purge_after: Instant | None = None


class Member(Noun):
    """A person in a workspace."""

    id: MemberId
    account_id: AccountId
    email: str
    name: str
    role: Role
    created_at: Instant
    updated_at: Instant


class InvitationState(StrEnum):
    """What became of an invitation."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    EXPIRED = "expired"
    """Nobody answered in time. Never stored: a pending invitation past its day."""


class Delivery(StrEnum):
    """What is known of the last mail of an invitation."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    FAILED = "failed"


class Invitation(Noun):
    """An address that may join a workspace."""

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
    delivery: Delivery | None = None
    """Of the last mail."""
    delivery_reason: str = ""
    """Why the last mail could not be delivered."""


class OwnInvitation(Noun):
    """An invitation as the invited person sees it."""

    id: str
    workspace_id: WorkspaceId
    workspace_name: str
    email: str
    role: Role
    invited_by: str
    expires_at: Instant


class Domain(Noun):
    """A mail domain of a workspace."""

    id: DomainId
    domain: str
    role: Role
    """Of who joins by this domain."""
    auto_join: bool
    created_at: Instant
    verified_at: Instant | None = None
    record_name: str = ""
    """Where the proof of ownership is looked for: the name of a TXT record."""
    record_value: str = ""
    """The text that the record must have."""


class ServiceAccount(Noun):
    """A member that is no person: it acts by its keys only."""

    id: ServiceAccountId
    name: str
    created_by: str
    created_at: Instant
    updated_at: Instant
    disabled_at: Instant | None = None


def name_required() -> BadRequest:
    """A name is blank."""
    return BadRequest("name_required", "The name must hold at least one visible character.")


def too_many_workspaces(limit: int) -> Conflict:
    """A person owns as many workspaces as one may."""
    return Conflict("too_many_workspaces", f"You own {limit} workspaces, the most that one person may. Delete one.")


def transfer_to_self() -> Unprocessable:
    """The heir of a workspace is its owner."""
    return Unprocessable("transfer_to_self", "Name another member: the workspace is yours already.")


def not_deleted() -> Conflict:
    """There is nothing to restore."""
    return Conflict("not_deleted", "The workspace is not deleted.")


def member_not_found() -> NotFound:
    """The workspace has no such member."""
    return NotFound("member_not_found", "The workspace has no member with this id.")


def last_owner() -> Conflict:
    """A workspace always has an owner."""
    return Conflict("last_owner", "A workspace needs an owner. Make somebody else an owner first, or delete it.")


def owners_only() -> Forbidden:
    """Owners are made, changed, invited and removed by owners."""
    return Forbidden("owners_only", "Only an owner may make, change, invite or remove owners.")


def person_required() -> Forbidden:
    """A key tried what only a person may do."""
    return Forbidden("person_required", "This needs a person who is signed in; a key cannot do it.")


def invalid_address(reason: str) -> Unprocessable:
    """What was given as an e-mail address is none."""
    return Unprocessable("invalid_address", f"This is not an e-mail address that mail can be sent to: {reason}")


def already_member() -> Conflict:
    """Who is to be invited is in already."""
    return Conflict("already_member", "A person with this address is a member already.")


def already_invited() -> Conflict:
    """There is an open invitation to this address."""
    return Conflict("already_invited", "This address has an open invitation. Resend it, or revoke it first.")


def too_many_invitations(limit: int) -> Conflict:
    """A workspace has as many open invitations as it may."""
    return Conflict(
        "too_many_invitations", f"The workspace has {limit} open invitations, the most that it may. Revoke some."
    )


def resent_too_soon(retry_after: int) -> TooManyRequests:
    """An invitation's last mail was only just sent."""
    return TooManyRequests(
        "resent_too_soon", f"The last mail was sent a moment ago. Try again in {retry_after} s.", retry_after
    )


def invitation_not_found() -> NotFound:
    """There is no such invitation, or it is not for the caller: the same answer."""
    return NotFound("invitation_not_found", "There is no invitation with this id or link, or it is not for you.")


def invitation_settled(state: InvitationState) -> Gone:
    """The invitation cannot be answered any more."""
    return Gone("invitation_settled", f"This invitation is {state}. Ask the workspace's admin for a new one.")


def invalid_domain() -> Unprocessable:
    """What was given as a domain is none."""
    return Unprocessable("invalid_domain", "This is not a mail domain, such as `example.com`.")


def invalid_domain_role() -> Unprocessable:
    """Whoever has a mailbox in a domain is not made an admin by that."""
    return Unprocessable("invalid_domain_role", "People who join by their domain may become `member` or `viewer`.")


def domain_not_found() -> NotFound:
    """The workspace has no such domain."""
    return NotFound("domain_not_found", "The workspace has no domain with this id.")


def domain_exists() -> Conflict:
    """The workspace has this domain already."""
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
