"""Tables of keys and of the credentials of model providers."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
)

from opencode_cloud.kit.sql import Bytes, Digest, Moment, id_column, table

keys = table(
    "keys",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    id_column(
        "member_id",
        ForeignKey("members.id", ondelete="CASCADE"),
        comment="the owner of a person's key",
    ),
    id_column(
        "service_account_id",
        ForeignKey("service_accounts.id", ondelete="CASCADE"),
        comment="the owner of a machine's key",
    ),
    Column("name", String(255), nullable=False),
    Column("hash", Digest, nullable=False, comment="SHA-256 of the key, which has 256 bits of entropy"),
    Column("prefix", String(16, collation="utf8mb4_bin"), nullable=False),
    Column("suffix", String(8, collation="utf8mb4_bin"), nullable=False),
    Column("scopes", JSON, nullable=False, comment="list of inference, usage, admin"),
    Column(
        "models", JSON(none_as_null=True), comment="list of patterns of models, or null for all that the policy allows"
    ),
    Column("networks", JSON(none_as_null=True), comment="list of IP ranges in CIDR notation, or null for any address"),
    Column("created_by", String(254), nullable=False),
    id_column("created_by_member_id", comment="the person behind the actor; null for operators"),
    id_column("made_by_key_id", comment="the key that made this one, which ends with it"),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    id_column("replaced_by", comment="the key that a rotation made"),
    CheckConstraint("(member_id IS NULL) <> (service_account_id IS NULL)", name="one_subject"),
    UniqueConstraint("hash"),
    Index(None, "workspace_id", "created_at"),
    Index(None, "member_id"),
    Index(None, "service_account_id"),
    Index(None, "made_by_key_id"),
)

provider_credentials = table(
    "provider_credentials",
    id_column(),
    id_column("workspace_id", ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=False),
    Column("provider", String(64), nullable=False, comment="openai, anthropic, google, ... or openai-compatible"),
    Column("name", String(255), nullable=False),
    Column("base_url", String(2048)),
    Column("sealed", Bytes(8192), nullable=False, comment="AES-256-GCM under the data key"),
    Column("data_key", Bytes(1024), nullable=False, comment="encrypted by KMS; context: workspace and id"),
    Column("suffix", String(4, collation="utf8mb4_bin"), nullable=False, comment="last characters, to tell keys apart"),
    Column("created_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("tested_at", Moment),
    Column("test_result", String(32)),
    UniqueConstraint("workspace_id", "provider", "name"),
)
