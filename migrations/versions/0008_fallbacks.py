"""The requested model of calls that another model served.

Nothing is deployed yet, so the code before this version does not have to work with it.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Go on from 0007."""
    for name, length in (("requested_model", 128), ("fallback", 16)):
        text = sa.String(length=length, collation="utf8mb4_bin")
        op.add_column("usage_events", sa.Column(name, text, server_default="", nullable=False))
