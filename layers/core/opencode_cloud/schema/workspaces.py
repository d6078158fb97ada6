"""Tables of workspaces, their members, domains, invitations and service accounts."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Enum, ForeignKey, Index, Integer, String, UniqueConstraint

from opencode_cloud.kit.sql import Digest, Moment, address_column, id_column, table

ROLES = ("owner", "admin", "billing", "member", "viewer")

workspaces = table(
    "workspaces",
    id_column(),
    Column("name", String(255), nullable=False),
    Column("version", Integer, nullable=False, server_default="1", comment="version of the row, its ETag"),
    Column("audit_retention_days", Integer, nullable=False, server_default="365"),
    Column("audit_retention_shortened_at", Moment, comment="the shorter retention takes effect a week later"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("blocked_at", Moment),
    Column("deleted_at", Moment, comment="marked as deleted; restorable until purge_after"),
    Column("purge_after", Moment),
    Index(None, "purge_after"),
)

members = table(
    "members",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    id_column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("role", Enum(*ROLES, name="role", native_enum=True), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("removed_at", Moment),
    UniqueConstraint("workspace_id", "account_id"),
    Index(None, "account_id"),
)
"""A person in a workspace. A person who returns gets their old row back."""

member_groups = table(
    "member_groups",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("models", JSON(none_as_null=True), comment="rules for models, as allow and deny; null: none"),
    Column("version", Integer, nullable=False, server_default="1", comment="version of the row, its ETag"),
    Column("created_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)
"""A group of members. Its budgets are rows of ``budgets``."""

group_members = table(
    "group_members",
    Column(
        "group_id",
        String(30, collation="utf8mb4_bin"),
        ForeignKey("member_groups.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column(
        "member_id", String(30, collation="utf8mb4_bin"), ForeignKey("members.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("added_by", String(254), nullable=False),
    Column("added_at", Moment, nullable=False),
    Index(None, "member_id"),
)
"""A member in a group. A removed member leaves all groups."""

domains = table(
    "domains",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("domain", String(253), nullable=False),
    Column(
        "role",
        Enum(*ROLES, name="role", native_enum=True),
        nullable=False,
        comment="role of people who join",
    ),
    Column("auto_join", Integer, nullable=False, server_default="0"),
    Column("created_at", Moment, nullable=False),
    Column("verified_at", Moment, comment="when the DNS record was last seen"),
    id_column("vouched_by_member_id", comment="the member who last claimed, changed or verified it"),
    UniqueConstraint("workspace_id", "domain"),
    Index(None, "domain"),
)
"""A mail domain whose ownership a workspace proved by a DNS TXT record."""

invitations = table(
    "invitations",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("email", String(254), nullable=False),
    address_column(),
    Column("role", Enum(*ROLES, name="role", native_enum=True), nullable=False),
    Column("invited_by", String(254), nullable=False, comment="name of the actor"),
    id_column("invited_by_member_id", comment="their right to invite is looked up at acceptance; null for operators"),
    Column("state", Enum("pending", "accepted", "declined", "revoked", name="state"), nullable=False),
    Column(
        "generation", Integer, nullable=False, server_default="1", comment="counts mails; the link holds only the last"
    ),
    Column("token_hash", Digest, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("settled_at", Moment),
    id_column("mail_id", comment="the last mail; its state tells whether it was delivered"),
    UniqueConstraint("token_hash"),
    Index(None, "workspace_id", "state"),
    Index(None, "address"),
)

service_accounts = table(
    "service_accounts",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("created_by", String(254), nullable=False),
    id_column("created_by_member_id", comment="the person behind the actor; null for operators"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    Column("deleted_at", Moment),
    Index(None, "workspace_id"),
)
"""A member that is not a person. It acts only by its keys."""
