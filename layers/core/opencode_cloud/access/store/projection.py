"""Writes of the projection, and the versions that order its writers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select

from opencode_cloud.access.models import Known, ProjectionKey, ProjectionKind
from opencode_cloud.contracts.access import KnownKey
from opencode_cloud.contracts.ids import AccountId
from opencode_cloud.kit import aws
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds
from opencode_cloud.kit.dynamodb import conditional_write
from opencode_cloud.schema.access import projection_versions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opencode_cloud.kit.sql import Connection, Database

MEMBER = "MEMBER#"


class ProjectionStore:
    """The table ``projection_versions``, and writes of the table ``access``."""

    def __init__(self, database: Database, access_table: str) -> None:
        self._database = database
        self._access = access_table
        self._dynamodb = aws.dynamodb()

    def transaction(self) -> AbstractContextManager[Connection]:
        """Return a context manager for a connection inside a transaction."""
        return self._database.transaction()

    def lock(self, connection: Connection, shards: Sequence[int]) -> Mapping[int, int]:
        """Raise the versions of ``shards`` and return them.

        Other writers wait until the transaction of ``connection`` ends.

        All callers lock in the order of the shards, which prevents deadlocks.
        """
        table, now = projection_versions, time.time_ns() // 1000
        condition = table.c.shard.in_(shards)
        # The clock keeps versions growing after a restore from a backup; + 1 orders writers within a microsecond.
        connection.execute(table.update().where(condition).values(version=func.greatest(table.c.version + 1, now)))
        versions = self._versions(connection, shards)
        for shard in sorted(set(shards) - set(versions)):
            # A concurrent writer may insert the same shard. Both then lock the one row.
            connection.execute(table.insert().prefix_with("IGNORE"), {"shard": shard, "version": 0})
        if len(versions) < len(set(shards)):
            return self.lock(connection, shards)
        return versions

    def _versions(self, connection: Connection, shards: Sequence[int]) -> dict[int, int]:
        query = select(projection_versions).where(projection_versions.c.shard.in_(shards))
        return {row.shard: row.version for row in connection.execute(query)}

    def memberships(self, account_id: AccountId) -> Sequence[ProjectionKey]:
        """Return the keys of all memberships of an account that have a row."""
        keys: list[ProjectionKey] = []
        query: Any = {
            "TableName": self._access,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :member)",
            "ExpressionAttributeValues": {":pk": {"S": f"account#{account_id}"}, ":member": {"S": MEMBER}},
            "ConsistentRead": True,
            "ProjectionExpression": "sk",
        }
        for page in self._dynamodb.pages(**query):
            keys += [
                ProjectionKey(ProjectionKind.MEMBER, "", row["sk"]["S"].removeprefix(MEMBER), account_id)
                for row in page["Items"]
            ]
        return keys

    def put(self, key: ProjectionKey, value: Known | None, version: int) -> bool:
        """Write a row, or a tombstone; False when a newer one exists."""
        pk, sk = key.row
        row: dict[str, Any] = {"pk": {"S": pk}, "sk": {"S": sk}, "version": {"N": str(version)}}
        if value is None:
            # A day is longer than any writer with an older state can run.
            row["ttl"] = {"N": str(now_seconds() + DAY_SECONDS)}
        else:
            row["value"] = {"S": msgspec.json.encode(value).decode()}
            # Expired keys are refused by `expires_at`. The TTL only cleans up.
            if isinstance(value, KnownKey) and value.expires_at is not None:
                row["ttl"] = {"N": str(value.expires_at + DAY_SECONDS)}
        return conditional_write(
            self._dynamodb.put_item,
            TableName=self._access,
            Item=row,
            ConditionExpression="attribute_not_exists(pk) OR #version < :version",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues={":version": row["version"]},
        )
