"""Projection of MySQL into the rows that the data planes read.

A projected row is a function of the present state in MySQL, never of a message: a message only triggers another look.
Messages may therefore arrive twice, late or in any order. A state that was read earlier must not overwrite one that was
read later; versions ensure that. A writer first raises the version of the row's shard in MySQL, in a transaction that
stays open while the source is read. Two such transactions exclude each other, so the higher version belongs to the
later read, and the row accepts only versions higher than its own.

The version is not the number of a message: transactions commit in another order than they draw numbers, and a row may
depend on several messages. The version grows with the clock, so that it also grows after the database was restored from
a backup.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from opencode_cloud.access.models import OF_WORKSPACE, Known, ProjectionKey, ProjectionKind
from opencode_cloud.contracts.ids import AccountId, WorkspaceId
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.kit.parallel import parallel_map

if TYPE_CHECKING:
    from opencode_cloud.access.store.projection import ProjectionStore
    from opencode_cloud.access.store.projection_source import ProjectionSource
    from opencode_cloud.kit.sql import Connection

AT_ONCE = 100
"""The number of rows that are read under one set of locks."""
SHARDS = 64
"""Rows of different shards are projected in parallel. The number is fixed, so that versions need no cleanup."""


class Projection:
    """Updates rows of the table ``access`` to the state in MySQL."""

    def __init__(self, store: ProjectionStore, source: ProjectionSource) -> None:
        self._store = store
        self._source = source

    def relay(self, messages: Sequence[OutboxMessage]) -> None:
        """Project every row that one of ``messages`` concerns."""
        with self._store.transaction() as connection:
            keys = {key for message in messages for key in self._keys_of(connection, message)}
        self.project(keys)

    def project_all(self, workspace_id: WorkspaceId | None = None) -> int:
        """Project everything in MySQL, or everything of one workspace. Return the number of rows.

        The deletion of a thing has already left a tombstone. Rows that MySQL never contained are not searched for.
        """
        count = 0
        with self._store.transaction() as connection:
            for page in self._source.everything(connection, workspace_id):
                self.project(page)
                count += len(page)
        return count

    def project(self, keys: Iterable[ProjectionKey]) -> None:
        """Update the rows of ``keys`` to the present state."""
        ordered = sorted(set(keys))
        for start in range(0, len(ordered), AT_ONCE):
            # Write after the transaction has ended: versions order the writes, so no lock is needed.
            parallel_map(lambda write: self._store.put(*write), self._read(ordered[start : start + AT_ONCE]))

    def _read(self, keys: Sequence[ProjectionKey]) -> list[tuple[ProjectionKey, Known | None, int]]:
        with self._store.transaction() as connection:
            # Lock before reading, so that the higher version belongs to the later read (docs/decisions/015).
            versions = self._store.lock(connection, sorted({shard(key) for key in keys}))
            return [(key, self._source.at(connection, key), versions[shard(key)]) for key in keys]

    def _keys_of(self, connection: Connection, message: OutboxMessage) -> Sequence[ProjectionKey]:
        match message.topic:
            case Topic.ACCOUNT:
                # MySQL has no memberships of a deleted account any more, so the projection itself is searched for their
                # rows.
                return [
                    ProjectionKey(ProjectionKind.ACCOUNT, message.subject),
                    *self._store.memberships(AccountId(message.subject)),
                ]
            case Topic.WORKSPACE:
                # Members' rows contain the workspace's name, and become tombstones when it is blocked or deleted.
                members = self._source.members_of(connection, WorkspaceId(message.subject))
                return [*self._of_workspace(WorkspaceId(message.subject)), *members]
            case Topic.MEMBER:
                payload = message.payload
                return [ProjectionKey(ProjectionKind.MEMBER, message.subject, payload["workspace"], payload["account"])]
            case Topic.SERVICE_ACCOUNT:
                return [ProjectionKey(ProjectionKind.SERVICE_ACCOUNT, message.subject, message.payload["workspace"])]
            case Topic.KEY:
                return [ProjectionKey(ProjectionKind.KEY, message.payload["hash"])]
            case Topic.BUDGETS:
                return [ProjectionKey(ProjectionKind.WORKSPACE, message.subject)]
            case Topic.POLICY:
                return [
                    ProjectionKey(ProjectionKind.WORKSPACE, message.subject),
                    ProjectionKey(ProjectionKind.CONFIGURATION, message.subject),
                ]
            case Topic.CONFIGURATION | Topic.CREDENTIALS:
                return [ProjectionKey(ProjectionKind(message.topic.value), message.subject)]
            case (
                Topic.MAIL
                | Topic.CATALOGUE
                | Topic.RELOAD
                | Topic.REFUND
                | Topic.SEATS
                | Topic.SECOND_SUBSCRIPTION
                | Topic.WEBHOOK
            ):
                raise ValueError("these go to queues; the catalogue is projected by its own feature")

    def _of_workspace(self, workspace_id: WorkspaceId) -> Sequence[ProjectionKey]:
        return [ProjectionKey(kind, workspace_id) for kind in OF_WORKSPACE]


def shard(key: ProjectionKey) -> int:
    """Return the shard of the row of ``key``."""
    # Unlike hash(), crc32 gives the same shard in every process.
    return zlib.crc32("/".join(key.row).encode()) % SHARDS
