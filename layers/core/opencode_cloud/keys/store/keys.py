"""Keys in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from opencode_cloud.contracts.ids import KeyId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.keys.models import Key, KeyOrigin, StoredKey
from opencode_cloud.schema.identity import accounts
from opencode_cloud.schema.keys import keys
from opencode_cloud.schema.workspaces import members, service_accounts, workspaces

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_creators = members.alias("creators")
_CREATOR_LEFT = _creators.c.removed_at.is_not(None)
_KEY = (
    select(
        keys,
        func.coalesce(service_accounts.c.name, accounts.c.email).label("holder"),
        _CREATOR_LEFT.label("creator_left"),
    )
    .outerjoin(members, members.c.id == keys.c.member_id)
    .outerjoin(accounts, accounts.c.id == members.c.account_id)
    .outerjoin(service_accounts, service_accounts.c.id == keys.c.service_account_id)
    .outerjoin(_creators, _creators.c.id == keys.c.created_by_member_id)
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
        creator_left: bool = False,
        search: str = "",
        ended: bool = False,
        now: datetime,
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Key]:
        """Return keys of a workspace, the newest first, and with ended keys on request.

        Optionally only keys of one holder, keys whose creator is no longer a member, or keys with a text in their name
        or the name or address of their holder, or as their last characters.
        """
        query = _KEY.where(keys.c.workspace_id == workspace_id)
        if member_id is not None:
            query = query.where(keys.c.member_id == member_id)
        if service_account_id is not None:
            query = query.where(keys.c.service_account_id == service_account_id)
        if creator_left:
            query = query.where(_CREATOR_LEFT)
        if search:
            texts = (keys.c.name, accounts.c.email, service_accounts.c.name)
            found = (column.contains(search, autoescape=True) for column in texts)
            query = query.where(or_(keys.c.suffix == search, *found))
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

    def lock_workspace(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        """Lock a workspace until the transaction ends.

        So an ending finds all keys that it must end. Like every change of members, this locks the workspace's row
        before any other row, which rules out deadlocks.
        """
        connection.execute(select(workspaces.c.id).where(workspaces.c.id == workspace_id).with_for_update())

    def has_holder(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        member_id: MemberId | None,
        service_account_id: ServiceAccountId | None,
    ) -> bool:
        """Tell whether a member or service account exists. Under the workspace's lock it stays so."""
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

    def of_holder(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        *,
        member_id: MemberId | None = None,
        service_account_id: ServiceAccountId | None = None,
    ) -> Sequence[KeyId]:
        """Return the keys of one holder, also ended ones: what an ended key has made may still work."""
        query = select(keys.c.id).where(keys.c.workspace_id == workspace_id)
        if member_id is not None:
            query = query.where(keys.c.member_id == member_id)
        if service_account_id is not None:
            query = query.where(keys.c.service_account_id == service_account_id)
        return connection.execute(query).scalars().all()

    def made_by(self, connection: Connection, workspace_id: WorkspaceId, makers: Sequence[KeyId]) -> Sequence[KeyId]:
        """Return the keys that these keys made, the keys that those made, and so on. The makers are left out."""
        found = dict.fromkeys(makers)
        layer = list(found)
        while layer:
            query = select(keys.c.id).where(keys.c.workspace_id == workspace_id, keys.c.made_by_key_id.in_(layer))
            layer = [key_id for key_id in connection.execute(query).scalars() if key_id not in found]
            found.update(dict.fromkeys(layer))
        return list(found)[len(set(makers)) :]

    def revoke(self, connection: Connection, key_ids: Sequence[KeyId], at: datetime) -> Sequence[StoredKey]:
        """Revoke keys and return the newly revoked ones."""
        query = select(keys.c.id, keys.c.hash).where(keys.c.id.in_(key_ids), keys.c.revoked_at.is_(None))
        revoked = [StoredKey(row.id, row.hash) for row in connection.execute(query.with_for_update())]
        if revoked:
            ids = [key.id for key in revoked]
            connection.execute(keys.update().where(keys.c.id.in_(ids)).values(revoked_at=at))
        return revoked

    def origin(self, connection: Connection, key_id: KeyId) -> KeyOrigin:
        """Return the origin of a key that ``key_id`` makes: the person behind ``key_id``, and ``key_id`` itself."""
        query = select(keys.c.created_by_member_id).where(keys.c.id == key_id)
        return KeyOrigin(connection.execute(query).scalar_one_or_none(), key_id)

    def all_of(self, connection: Connection, workspace_id: WorkspaceId) -> Sequence[StoredKey]:
        """Return all present and former keys of a workspace."""
        query = select(keys.c.id, keys.c.hash).where(keys.c.workspace_id == workspace_id)
        return [StoredKey(row.id, row.hash) for row in connection.execute(query)]
