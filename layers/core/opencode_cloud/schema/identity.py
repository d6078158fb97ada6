"""Tables of people and of the logins that prove their identity."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, UniqueConstraint

from opencode_cloud.kit.sql import Moment, address_column, id_column, table

accounts = table(
    "accounts",
    id_column(),
    Column("email", String(254), nullable=False, comment="verified, in the owner's spelling"),
    address_column(),
    Column("name", String(255), nullable=False, server_default=""),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("blocked_at", Moment),
    UniqueConstraint("address"),
)
"""A person. The row is really deleted on request; audit entries keep copies of the names that they show."""

logins = table(
    "logins",
    id_column(),
    id_column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("provider", String(64), nullable=False, comment="github, google, email, or the name of an OIDC issuer"),
    Column("subject", String(255, collation="utf8mb4_bin"), nullable=False, comment="stable id at the provider"),
    Column("email", String(254), nullable=False, comment="verified by the provider at the last use"),
    address_column(),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment, nullable=False),
    UniqueConstraint("provider", "subject"),
    Index(None, "account_id"),
    Index(None, "address"),
)
"""One way for a person to sign in."""
