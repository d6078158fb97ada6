"""Reads of the projection for the gateway, from its event loop: everything about a caller in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from opencode_cloud.access.models import ProjectionKey, ProjectionKind
from opencode_cloud.contracts.access import (
    KnownAccount,
    KnownCredentials,
    KnownKey,
    KnownMember,
    KnownServiceAccount,
    KnownSession,
    KnownWorkspace,
)
from opencode_cloud.contracts.ids import AccountId, ServiceAccountId, SessionId, WorkspaceId
from opencode_cloud.kit.dynamodb import batch_get_async, primary_key

if TYPE_CHECKING:
    from opencode_cloud.kit.dynamodb import AsyncDynamoDB

Model = TypeVar("Model")


class ProjectedRows:
    """The rows of one read."""

    def __init__(self, rows: dict[tuple[str, str], dict[str, Any]], session: KnownSession | None) -> None:
        self._rows = rows
        self.session = session

    def account(self, account_id: AccountId) -> KnownAccount | None:
        """Return a person who may sign in; None without a row."""
        return self._value(ProjectionKey(ProjectionKind.ACCOUNT, account_id), KnownAccount)

    def member(self, account_id: AccountId, workspace_id: WorkspaceId) -> KnownMember | None:
        """Return a membership."""
        return self._value(ProjectionKey(ProjectionKind.MEMBER, "", workspace_id, account_id), KnownMember)

    def service_account(
        self, service_account_id: ServiceAccountId, workspace_id: WorkspaceId
    ) -> KnownServiceAccount | None:
        """Return a service account."""
        return self._value(
            ProjectionKey(ProjectionKind.SERVICE_ACCOUNT, service_account_id, workspace_id), KnownServiceAccount
        )

    def workspace(self, workspace_id: WorkspaceId) -> KnownWorkspace | None:
        """Return a workspace."""
        return self._value(ProjectionKey(ProjectionKind.WORKSPACE, workspace_id), KnownWorkspace)

    def key(self, digest: bytes) -> KnownKey | None:
        """Return a key by its hash."""
        return self._value(ProjectionKey(ProjectionKind.KEY, digest.hex()), KnownKey)

    def credentials(self, workspace_id: WorkspaceId) -> KnownCredentials:
        """Return a workspace's own credentials for model providers, sealed."""
        return (
            self._value(ProjectionKey(ProjectionKind.CREDENTIALS, workspace_id), KnownCredentials) or KnownCredentials()
        )

    def _value(self, key: ProjectionKey, model: type[Model]) -> Model | None:
        row = self._rows.get(key.row)
        if row is None or "value" not in row:
            return None
        return msgspec.json.decode(row["value"]["S"], type=model)


class InferenceStore:
    """Consistent reads of the tables ``access`` and ``sessions``."""

    def __init__(self, dynamodb: AsyncDynamoDB, access_table: str, sessions_table: str) -> None:
        self._dynamodb = dynamodb
        self._access = access_table
        self._sessions = sessions_table

    async def read(self, keys: Sequence[ProjectionKey], session_id: SessionId | None = None) -> ProjectedRows:
        """Return the rows of ``keys``, and the session with the id ``session_id``, in one round trip."""
        primary_keys = [primary_key(pk, sk) for pk, sk in (key.row for key in keys)]
        sessions = [primary_key(f"session#{session_id}")] if session_id else []
        read = await batch_get_async(self._dynamodb, {self._access: primary_keys, self._sessions: sessions})
        rows = {(row["pk"]["S"], row["sk"]["S"]): row for row in read[self._access]}
        session = next((_session(session_id, row) for row in read[self._sessions] if session_id), None)
        return ProjectedRows(rows, session)


def _session(session_id: SessionId, row: dict[str, Any]) -> KnownSession | None:
    if "ended_at" in row:
        return None
    return KnownSession(
        id=session_id, account_id=row["account_id"]["S"], kind=row["kind"]["S"], expires_at=int(row["expires_at"]["N"])
    )
