"""Keys in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from opencode_cloud.contracts.ids import KeyId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.keys.models import Key, StoredKey
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.workspaces import members, service_accounts, workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_KEY = (
    select(keys, func.coalesce(service_accounts.c.name, accounts.c.email).label("holder"))
    .outerjoin(members, members.c.id == keys.c.member_id)
    .outerjoin(accounts, accounts.c.id == members.c.account_id)
    .outerjoin(service_accounts, service_accounts.c.id == keys.c.service_account_id)
)


class KeyStore:
    """The table ``keys``, joined with the names of the holders."""

    def add(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Write a new key."""
        connection.execute(keys.insert(), dict(row))

    def change(self, connection: Connection, key_id: KeyId, values: Mapping[str, Any]) -> None:
        """Set columns of a key."""
        connection.execute(keys.update().where(keys.c.id == key_id).values(dict(values)))

    def get(
        self, connection: Connection, workspace_id: WorkspaceId, key_id: KeyId, *, lock: bool = False
    ) -> Key | None:
        """Return a key of a workspace, optionally locked until the end of the transaction."""
        if lock:
            connection.execute(select(keys.c.id).where(keys.c.id == key_id).with_for_update())
        row = connection.execute(_KEY.where(keys.c.id == key_id, keys.c.workspace_id == workspace_id)).first()
        return Key.model_validate(row) if row else None

    def stored(self, connection: Connection, key_id: KeyId) -> StoredKey:
        """Return the columns that locate a key's row in the projection."""
        row = connection.execute(select(keys.c.id, keys.c.hash).where(keys.c.id == key_id)).one()
        return StoredKey(row.id, row.hash)

    def of_workspace(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        *,
        member_id: MemberId | None = None,
        service_account_id: ServiceAccountId | None = None,
        ended: bool = False,
        now: datetime,
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Key]:
        """Return keys of a workspace, the newest first, optionally of one holder, and with ended keys on request."""
        query = _KEY.where(keys.c.workspace_id == workspace_id)
        if member_id is not None:
            query = query.where(keys.c.member_id == member_id)
        if service_account_id is not None:
            query = query.where(keys.c.service_account_id == service_account_id)
        if not ended:
            query = query.where(keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > now))
        if after is not None:
            query = query.where(keys.c.id < after)
        return [Key.model_validate(row) for row in connection.execute(query.order_by(keys.c.id.desc()).limit(limit))]

    def count(self, connection: Connection, workspace_id: WorkspaceId, now: datetime) -> int:
        """Count the usable keys of a workspace."""
        query = select(func.count()).select_from(keys).where(keys.c.workspace_id == workspace_id)
        alive = query.where(keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > now))
        return connection.execute(alive).scalar_one()

    def lock_holder(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        member_id: MemberId | None,
        service_account_id: ServiceAccountId | None,
    ) -> bool:
        """Tell whether a member or service account exists, and prevent its removal until the transaction ends.

        So a removal of a holder finds all keys of the holder. Like every change of members, this locks the
        workspace's row before any other row, which rules out deadlocks.
        """
        connection.execute(select(workspaces.c.id).where(workspaces.c.id == workspace_id).with_for_update())
        if member_id is not None:
            query = select(members.c.id).where(
                members.c.id == member_id, members.c.workspace_id == workspace_id, members.c.removed_at.is_(None)
            )
        else:
            query = select(service_accounts.c.id).where(
                service_accounts.c.id == service_account_id,
                service_accounts.c.workspace_id == workspace_id,
                service_accounts.c.deleted_at.is_(None),
            )
        return connection.execute(query).first() is not None

    def workspace_name(self, connection: Connection, workspace_id: WorkspaceId) -> str:
        """Return the name of a workspace."""
        return connection.execute(select(workspaces.c.name).where(workspaces.c.id == workspace_id)).scalar_one()

    def revoke_all(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        at: datetime,
        *,
        member_id: MemberId | None = None,
        service_account_id: ServiceAccountId | None = None,
    ) -> Sequence[StoredKey]:
        """Revoke the keys of one holder and return the newly revoked ones."""
        query = select(keys.c.id, keys.c.hash).where(keys.c.workspace_id == workspace_id, keys.c.revoked_at.is_(None))
        if member_id is not None:
            query = query.where(keys.c.member_id == member_id)
        if service_account_id is not None:
            query = query.where(keys.c.service_account_id == service_account_id)
        revoked = [StoredKey(row.id, row.hash) for row in connection.execute(query.with_for_update())]
        if revoked:
            ids = [key.id for key in revoked]
            connection.execute(keys.update().where(keys.c.id.in_(ids)).values(revoked_at=at))
        return revoked

    def all_of(self, connection: Connection, workspace_id: WorkspaceId) -> Sequence[StoredKey]:
        """Return all present and former keys of a workspace."""
        query = select(keys.c.id, keys.c.hash).where(keys.c.workspace_id == workspace_id)
        return [StoredKey(row.id, row.hash) for row in connection.execute(query)]
