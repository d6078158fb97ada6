"""Keys, indexes and streams of the DynamoDB tables: `infra/stacks/data.py` deploys them, tests create them.

It does not import the CDK, so that any module can import it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

EXPIRY_INDEX: Final = "expiry"
WORKSPACE_INDEX: Final = "workspace"
OWNER_INDEX: Final = "owner"
ACCOUNT_INDEX: Final = "account"
LEASES_INDEX: Final = "leases"

TTL_ATTRIBUTE: Final = "ttl"
"""The TTL attribute of every table, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: a string partition key and, if `sort` is not empty, a numeric sort key."""

    partition: str
    sort: str = ""
    all_attributes: bool = False
    """True if the index holds whole rows; otherwise it holds keys only."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: a string partition key and, if `sort` is not empty, a string sort key."""

    partition: str = "pk"
    sort: str = "sk"
    indexes: Mapping[str, Index] = field(default_factory=dict[str, Index])
    streamed: bool = False
    """True if a stream carries the new image of each changed row."""


TABLES: Final[Mapping[str, Table]] = {
    "shares": Table(
        indexes={
            EXPIRY_INDEX: Index("expiry_day", "expires_at"),
            # Both list shares in the order of their creation.
            WORKSPACE_INDEX: Index("workspace_id", "created_at"),
            OWNER_INDEX: Index("owner_key", "created_at"),
        },
        streamed=True,
    ),
    "connections": Table("connection", sort=""),
    "access": Table(),
    "sessions": Table(sort="", indexes={ACCOUNT_INDEX: Index("account_id", all_attributes=True)}),
    # The index finds reservations whose lease has ended.
    "budgets": Table(indexes={LEASES_INDEX: Index("lease_shard", "lease_until")}),
    "usage": Table(streamed=True),
}
"""The tables by name."""
