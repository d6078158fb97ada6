"""Invoices and credit notes of payments."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema to this version."""
    kind = sa.Enum("invoice", "credit_note", name="kind")
    op.create_table(
        "payment_series",
        sa.Column("kind", kind, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="the last that was given"),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_payment_series")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "payment_documents",
        sa.Column("kind", kind, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "subject",
            sa.String(length=255, collation="utf8mb4_bin"),
            server_default="",
            nullable=False,
            comment="the payment or the refund",
        ),
        sa.Column("workspace_id", sa.String(length=30, collation="utf8mb4_bin"), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("issued_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.PrimaryKeyConstraint("kind", "number", name=op.f("pk_payment_documents")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_payment_documents_kind_subject")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mysql_engine="InnoDB",
    )
    name = op.f("ix_payment_documents_workspace_id_issued_at")
    op.create_index(name, "payment_documents", ["workspace_id", "issued_at"], unique=False)
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER payment_documents_no_{event.lower()} BEFORE {event} ON payment_documents FOR EACH ROW "
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'documents are append-only'"
        )
