"""The tables of mail: sent mails with their delivery status, and suppressed addresses."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Enum, Index, Integer, String

from opencode_cloud.kit.sql import Moment, id_column, table

mails = table(
    "mails",
    id_column(),
    id_column("workspace_id"),
    Column("template", String(64), nullable=False),
    Column("recipient", String(254), nullable=False),
    Column(
        "variables",
        JSON,
        nullable=False,
        comment="variables of the template, without secrets",
    ),
    Column(
        "state",
        Enum("queued", "sent", "delivered", "bounced", "complained", "failed", name="state"),
        nullable=False,
    ),
    Column("reason", String(255), nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("message_id", String(128, collation="utf8mb4_bin"), comment="the message id that SES gave"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "created_at"),
    Index(None, "message_id"),
    Index(None, "recipient"),
)

suppressions = table(
    "suppressions",
    Column("recipient", String(254), primary_key=True, comment="compared without regard to case"),
    Column("state", Enum("bounced", "complained", name="state"), nullable=False),
    Column("reason", String(255), nullable=False, server_default=""),
    id_column("mail_id", nullable=False, comment="the mail of this event"),
    Column("created_at", Moment, nullable=False),
)
"""Addresses that bounced permanently, or whose owners complained."""
