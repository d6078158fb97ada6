"""Keys: create them (the secret is shown once), narrow, rotate with an overlap, and revoke them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.access.credentials import KEY_PREFIX, hash_of_key
from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.access import not_permitted, workspace_not_found
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import KeyId, MemberId, ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.names import clean_name
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.permissions import KeyScope, Permission
from opencode_cloud.keys.limits import checked, wider
from opencode_cloud.keys.models import (
    Key,
    KeyLimits,
    KeyOrigin,
    NewKey,
    StoredKey,
    holder_not_found,
    key_not_found,
    key_revoked,
    not_your_key,
    only_narrower,
    too_many_keys,
    wider_than_yourself,
)
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.etags import check_tag
from opencode_cloud.kit.ids import base64url, new_id

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.budgets.service import BudgetSubjects
    from opencode_cloud.keys.store import KeyStore
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.outbox.service import Outbox, UnitOfWork

Uses = Callable[[Sequence[str]], Mapping[str, int]]
"""Returns the time of the last use of each key, by id, in seconds since the epoch."""

KEY_BYTES = 32
VISIBLE_FIRST = len(KEY_PREFIX) + 4
VISIBLE_LAST = 4
MOST_KEYS = 1000
"""Limit of usable keys of one workspace."""


class CreateKey(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a new key."""

    name: str
    scopes: Sequence[KeyScope]
    service_account_id: ServiceAccountId | None = None
    """The service account that will hold the key; None for a key of the actor."""
    models: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    expires_at: datetime | None = None


class UpdateKey(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a key; None leaves a value unchanged."""

    name: str | None = None
    scopes: Sequence[KeyScope] | None = None
    models: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    expires_at: datetime | None = None


class Keys:
    """Rules of keys.

    A key's rights are bounded by its holder's role at each use, and by the limits set here.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        store: KeyStore,
        mailer: Mailer,
        uses: Uses,
        budgets: BudgetSubjects,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._record = Recorder[Key](audit, "key", lambda row: row.id, lambda row: row.name)
        self._store = store
        self._mailer = mailer
        self._uses = uses
        self._budgets = budgets

    def of_workspace(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        *,
        own: bool = False,
        service_account_id: ServiceAccountId | None = None,
        creator_left: bool = False,
        search: str = "",
        ended: bool = False,
        after: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Key]:
        """Return keys, the newest first: all keys of the workspace to key managers, else the actor's own.

        ``creator_left`` returns only keys whose creator is no longer a member, ``search`` only keys with this text in
        their name or the name or address of their holder, or as their last characters.
        """
        member = None
        if own or not actor.may(Permission.KEY_MANAGE):
            if service_account_id is not None and service_account_id != actor.id:
                return []
            member, service_account_id = _holder(actor)
        with self._database.transaction() as connection:
            keys = self._store.of_workspace(
                connection,
                workspace_id,
                member_id=member,
                service_account_id=service_account_id,
                creator_left=creator_left,
                search=search,
                ended=ended,
                now=utc_now(),
                after=after,
                limit=limit,
            )
        return self._with_use(keys)

    def get(self, actor: Actor, workspace_id: WorkspaceId, key_id: KeyId) -> Key:
        """Return a key that the actor may see; raises ``key_not_found``."""
        with self._database.transaction() as connection:
            key = self._visible(connection, actor, workspace_id, key_id)
        return self._with_use([key])[0]

    def create(self, actor: Actor, workspace_id: WorkspaceId, new_key: CreateKey) -> NewKey:
        """Create a key and return it with its secret, which is not stored.

        Raises ``not_permitted``, ``service_account_not_found``, ``invalid_limit``, ``invalid_name``,
        ``wider_than_yourself`` or ``too_many_keys``.
        """
        limits = checked(new_key.scopes, new_key.models, new_key.networks, new_key.expires_at, utc_now())
        name = clean_name(new_key.name)
        member, service_account = _holder(actor)
        if new_key.service_account_id is not None and new_key.service_account_id != actor.id:
            if not actor.may(Permission.KEY_MANAGE):
                raise not_permitted(Permission.KEY_MANAGE)
            member, service_account = None, new_key.service_account_id
        with self._outbox.unit() as unit:
            self._lock_holder(unit, workspace_id, member, service_account)
            self._require_within(unit.connection, actor, workspace_id, limits)
            if self._store.count(unit.connection, workspace_id, utc_now()) >= MOST_KEYS:
                raise too_many_keys(MOST_KEYS)
            key = self._make(unit, actor, workspace_id, name, limits, member, service_account)
            self._record(unit, actor, "key.created", workspace_id, key, after=_as_record(limits))
            self._notify(unit, Template.KEY_CREATED, actor, workspace_id, key)
        return key

    def rotate(self, actor: Actor, workspace_id: WorkspaceId, key_id: KeyId, overlap: timedelta) -> NewKey:
        """Create a key with the same limits and lifetime. The old key and the keys that it made end after ``overlap``.

        Raises ``key_not_found``, ``not_your_key``, ``key_revoked`` or ``wider_than_yourself``.
        """
        with self._outbox.unit() as unit:
            shown = self._visible(unit.connection, actor, workspace_id, key_id)
            self._lock_holder(unit, workspace_id, shown.member_id, shown.service_account_id)
            made = self._store.made_by(unit.connection, workspace_id, [key_id])
            old = self._changeable(unit, actor, workspace_id, key_id)
            now = utc_now()
            lifetime = old.expires_at - old.created_at if old.expires_at else None
            limits = _limits_of(old, expires_at=now + lifetime if lifetime else None)
            self._require_within(unit.connection, actor, workspace_id, limits)
            new_key = self._make(unit, actor, workspace_id, old.name, limits, old.member_id, old.service_account_id)
            ends = now + overlap if old.expires_at is None else min(now + overlap, old.expires_at)
            self._set(unit, old.id, {"expires_at": ends, "replaced_by": new_key.id})
            self._budgets.hand_over(unit, old.id, new_key.id)
            self._bound(unit, actor, workspace_id, old.id, made, msgspec.structs.replace(limits, expires_at=ends))
            after = {"replaced_by": new_key.id, "ends_in_seconds": int((ends - now).total_seconds())}
            self._record(unit, actor, "key.rotated", workspace_id, old, after=after)
            self._notify(unit, Template.KEY_ROTATED, actor, workspace_id, new_key, until=f"{ends:%-d %B %Y, %H:%M} UTC")
        return new_key

    def narrow(
        self, actor: Actor, workspace_id: WorkspaceId, key_id: KeyId, update: UpdateKey, read: str | None = None
    ) -> Key:
        """Rename a key, or set narrower limits. They also bound the keys that it made; wider ones are revoked.

        ``read`` is the tag of the key that the caller has read; None: any. Raises ``key_not_found``, ``not_your_key``,
        ``key_revoked``, ``stale_version``, ``invalid_limit`` or ``only_narrower``.
        """
        with self._outbox.unit() as unit:
            self._store.lock_workspace(unit.connection, workspace_id)
            key = self._changeable(unit, actor, workspace_id, key_id)
            check_tag(read, key.tag)
            limits = checked(
                key.scopes if update.scopes is None else update.scopes,
                key.models if update.models is None else update.models,
                key.networks if update.networks is None else update.networks,
                key.expires_at if update.expires_at is None else update.expires_at,
                utc_now(),
            )
            field = wider(limits, _limits_of(key, expires_at=key.expires_at))
            if field:
                raise only_narrower(field)
            name = key.name if update.name is None else clean_name(update.name)
            self._set(unit, key_id, {"name": name, **_columns(limits)})
            before = {"name": key.name, **_as_record(_limits_of(key, expires_at=key.expires_at))}
            after = {"name": name, **_as_record(limits)}
            self._record(unit, actor, "key.updated", workspace_id, key, before=before, after=after)
            made = self._store.made_by(unit.connection, workspace_id, [key_id])
            self._bound(unit, actor, workspace_id, key_id, made, limits)
            return self._visible(unit.connection, actor, workspace_id, key_id)

    def revoke(self, actor: Actor, workspace_id: WorkspaceId, key_id: KeyId, read: str | None = None) -> None:
        """Revoke a key at once and for good, and all keys that it made, and that those made.

        A revoked key stays as it is. ``read`` is the tag of the key that the caller has read; None: any. Raises
        ``key_not_found`` or ``stale_version``.
        """
        with self._outbox.unit() as unit:
            self._store.lock_workspace(unit.connection, workspace_id)
            key = self._visible(unit.connection, actor, workspace_id, key_id, lock=True)
            if key.revoked_at is not None:
                return
            check_tag(read, key.tag)
            made = self._store.made_by(unit.connection, workspace_id, [key_id])
            ended = self._end(unit, [key_id, *made])
            self._record(unit, actor, "key.revoked", workspace_id, key, after={"revoked_keys": ended})

    # ------------------------------------------------------------------------------------- for other features

    def revoke_of_member(self, unit: UnitOfWork, workspace_id: WorkspaceId, member_id: MemberId) -> int:
        """Revoke all keys of a member, and the keys that those made, in ``unit``; return how many."""
        return self._end_of(
            unit, workspace_id, self._store.of_holder(unit.connection, workspace_id, member_id=member_id)
        )

    def revoke_of_service_account(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, service_account_id: ServiceAccountId
    ) -> int:
        """Revoke all keys of a service account, and the keys that those made, in ``unit``; return how many."""
        held = self._store.of_holder(unit.connection, workspace_id, service_account_id=service_account_id)
        return self._end_of(unit, workspace_id, held)

    def emit_all(self, unit: UnitOfWork, workspace_id: WorkspaceId) -> None:
        """Have every key of a workspace projected again, in ``unit``. Called before the workspace is purged."""
        self._emit(unit, self._store.all_of(unit.connection, workspace_id))

    # ------------------------------------------------------------------------------------- internals

    def _with_use(self, keys: Sequence[Key]) -> Sequence[Key]:
        used = self._uses([key.id for key in keys])
        last_uses = {key: datetime.fromtimestamp(at, UTC).replace(tzinfo=None) for key, at in used.items()}
        return [key.model_copy(update={"last_used_at": last_uses.get(key.id)}) for key in keys]

    def _visible(
        self, connection: Connection, actor: Actor, workspace_id: WorkspaceId, key_id: KeyId, *, lock: bool = False
    ) -> Key:
        key = self._store.get(connection, workspace_id, key_id, lock=lock)
        if key is None or not (actor.may(Permission.KEY_MANAGE) or _is_holder(actor, key)):
            raise key_not_found()
        return key

    def _changeable(self, unit: UnitOfWork, actor: Actor, workspace_id: WorkspaceId, key_id: KeyId) -> Key:
        """Return a key that the actor may change. Rotation reveals a secret, so it excludes keys of other people."""
        key = self._visible(unit.connection, actor, workspace_id, key_id, lock=True)
        if key.member_id is not None and not _is_holder(actor, key):
            raise not_your_key()
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= utc_now()):
            raise key_revoked()
        self._require_within(
            unit.connection, actor, workspace_id, _limits_of(key, expires_at=key.expires_at), to_change=True
        )
        return key

    def _lock_holder(
        self,
        unit: UnitOfWork,
        workspace_id: WorkspaceId,
        member_id: MemberId | None,
        service_account_id: ServiceAccountId | None,
    ) -> None:
        self._store.lock_workspace(unit.connection, workspace_id)
        if not self._store.has_holder(unit.connection, workspace_id, member_id, service_account_id):
            raise workspace_not_found() if service_account_id is None else holder_not_found()

    def _require_within(
        self,
        connection: Connection,
        actor: Actor,
        workspace_id: WorkspaceId,
        limits: KeyLimits,
        *,
        to_change: bool = False,
    ) -> None:
        """Raise ``wider_than_yourself`` when a key would create a key with wider rights than its own."""
        if actor.credential is not CredentialKind.KEY:
            return
        own = self._store.get(connection, workspace_id, actor.key_id)
        if own is None or own.revoked_at is not None:
            raise key_not_found()
        bound = _limits_of(own, expires_at=None if to_change else own.expires_at)
        field = wider(limits, bound)
        if field:
            raise wider_than_yourself(field)

    def _make(
        self,
        unit: UnitOfWork,
        actor: Actor,
        workspace_id: WorkspaceId,
        name: str,
        limits: KeyLimits,
        member_id: MemberId | None,
        service_account_id: ServiceAccountId | None,
    ) -> NewKey:
        secret = KEY_PREFIX + base64url(secrets.token_bytes(KEY_BYTES))
        key_id, digest = KeyId(new_id("key")), hash_of_key(secret)
        origin = self._origin(unit.connection, actor)
        row = {
            "id": key_id,
            "workspace_id": workspace_id,
            "member_id": member_id,
            "service_account_id": service_account_id,
            "name": name,
            "hash": digest,
            "prefix": secret[:VISIBLE_FIRST],
            "suffix": secret[-VISIBLE_LAST:],
            "created_by": actor.name,
            "created_by_member_id": origin.member_id,
            "made_by_key_id": origin.key_id,
            "created_at": utc_now(),
            **_columns(limits),
        }
        self._store.add(unit.connection, row)
        unit.emit(Topic.KEY, key_id, {"hash": digest.hex()})
        stored = self._store.get(unit.connection, workspace_id, key_id)
        if stored is None:
            raise key_not_found()
        return NewKey(**stored.model_dump(), secret=secret)

    def _notify(
        self, unit: UnitOfWork, template: Template, actor: Actor, workspace_id: WorkspaceId, key: Key, **more: str
    ) -> None:
        """Mail a notice of a new key to its holder; for a service account's key, to the person who created it."""
        person = actor.name if actor.kind is ActorKind.MEMBER else ""
        recipient = key.holder if key.member_id else person
        if recipient:
            variables = {
                "workspace": self._store.workspace_name(unit.connection, workspace_id),
                "name": key.name,
                "visible": f"{key.prefix}…{key.suffix}",
                "creator": actor.name,
                **more,
            }
            self._mailer.queue(unit, template, recipient, variables, workspace_id)

    def _set(self, unit: UnitOfWork, key_id: KeyId, values: dict[str, Any]) -> None:
        self._store.change(unit.connection, key_id, values)
        self._emit(unit, [self._store.stored(unit.connection, key_id)])

    def _origin(self, connection: Connection, actor: Actor) -> KeyOrigin:
        by_key = actor.credential is CredentialKind.KEY
        if actor.kind is ActorKind.MEMBER:
            return KeyOrigin(MemberId(actor.id), actor.key_id if by_key else None)
        return self._store.origin(connection, actor.key_id) if by_key else KeyOrigin(None, None)

    def _bound(
        self,
        unit: UnitOfWork,
        actor: Actor,
        workspace_id: WorkspaceId,
        maker_id: KeyId,
        made: Sequence[KeyId],
        limits: KeyLimits,
    ) -> None:
        """Keep the keys that a key made within its ``limits``: shorten those that outlive it, revoke wider ones."""
        ends, lasting = limits.expires_at, msgspec.structs.replace(limits, expires_at=None)
        for key_id in made:
            key = self._store.get(unit.connection, workspace_id, key_id, lock=True)
            if key is None or key.revoked_at is not None:
                continue
            if wider(_limits_of(key, expires_at=None), lasting):
                self._end(unit, [key_id])
                self._record(unit, actor, "key.revoked", workspace_id, key, after={"made_by_key_id": maker_id})
            elif ends is not None and (key.expires_at is None or key.expires_at > ends):
                self._set(unit, key_id, {"expires_at": ends})
                before, after = _as_record(_limits_of(key, expires_at=key.expires_at)), {"expires_at": ends.isoformat()}
                self._record(unit, actor, "key.updated", workspace_id, key, before=before, after=after)

    def _end_of(self, unit: UnitOfWork, workspace_id: WorkspaceId, held: Sequence[KeyId]) -> int:
        return self._end(unit, [*held, *self._store.made_by(unit.connection, workspace_id, held)])

    def _end(self, unit: UnitOfWork, key_ids: Sequence[KeyId]) -> int:
        revoked = self._store.revoke(unit.connection, key_ids, utc_now())
        self._budgets.forget(unit, [key.id for key in revoked])
        return self._emit(unit, revoked)

    def _emit(self, unit: UnitOfWork, keys: Sequence[StoredKey]) -> int:
        for key in keys:
            unit.emit(Topic.KEY, key.id, {"hash": key.digest.hex()})
        return len(keys)


def _holder(actor: Actor) -> tuple[MemberId | None, ServiceAccountId | None]:
    """Return the ids of the acting member or service account; one of the two is None."""
    if actor.kind is ActorKind.SERVICE_ACCOUNT:
        return None, ServiceAccountId(actor.id)
    return MemberId(actor.id), None


def _is_holder(actor: Actor, key: Key) -> bool:
    return actor.id in {key.member_id, key.service_account_id}


def _limits_of(key: Key, *, expires_at: datetime | None) -> KeyLimits:
    return KeyLimits(
        scopes=frozenset(key.scopes),
        models=None if key.models is None else tuple(key.models),
        networks=None if key.networks is None else tuple(key.networks),
        expires_at=expires_at,
    )


def _columns(limits: KeyLimits) -> dict[str, Any]:
    return {
        "scopes": sorted(limits.scopes),
        "models": None if limits.models is None else list(limits.models),
        "networks": None if limits.networks is None else list(limits.networks),
        "expires_at": limits.expires_at,
    }


def _as_record(limits: KeyLimits) -> dict[str, Any]:
    """Return limits as audit entries show them."""
    columns = _columns(limits)
    return {**columns, "expires_at": limits.expires_at.isoformat() if limits.expires_at else None}
