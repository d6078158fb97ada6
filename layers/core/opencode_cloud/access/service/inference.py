"""Authentication of callers of models, for the gateway: the common rules in one round trip.

A key's row names its holder, whose rows must be read too, which makes two reads in sequence. The gateway therefore
remembers the location of a key's holder (never its validity or permissions), and reads everything at once from the
key's second use on. If the key's row then names another holder, the rows are read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.access import rules
from opencode_cloud.access.credentials import KEY_PREFIX, hash_of_key
from opencode_cloud.access.models import ProjectionKey, ProjectionKind
from opencode_cloud.contracts.access import (
    KnownCredentials,
    KnownKey,
    KnownMember,
    KnownServiceAccount,
    KnownWorkspace,
    login_required,
)
from opencode_cloud.contracts.actor import Actor, CredentialKind
from opencode_cloud.contracts.ids import AccountId, SessionId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import Unauthorized

if TYPE_CHECKING:
    from opencode_cloud.access.credentials import AccessRequest
    from opencode_cloud.access.store.inference import InferenceStore, ProjectedRows

REMEMBERED = 10_000
"""The number of keys whose holder's location is remembered."""

TokenClaims = Callable[[str], Mapping[str, Any] | None]
"""Verifies an access token and returns its claims; None for anything but a valid token of this stage."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of a model, with all rows that decide what the caller may use."""

    actor: Actor
    workspace: KnownWorkspace
    member: KnownMember | None = None
    service_account: KnownServiceAccount | None = None
    key: KnownKey | None = None
    credentials: KnownCredentials


class InferenceAccess:
    """Authenticates callers of models against the projection.

    All data for a decision is read after the request arrived.
    """

    def __init__(self, store: InferenceStore, claims: TokenClaims) -> None:
        self._store = store
        self._claims = claims
        self._holders: OrderedDict[bytes, list[ProjectionKey]] = OrderedDict()

    async def caller(self, request: AccessRequest, workspace_id: WorkspaceId) -> Caller:
        """Return the sender of ``request``. The client names ``workspace_id``; empty means a key's own.

        Raises ``login_required`` (401), ``workspace_required`` (401), or ``workspace_not_found`` (404) for non-members.
        :meth:`check` tells whether the caller may use models.
        """
        if request.bearer.startswith(KEY_PREFIX):
            return await self._by_key(request, workspace_id)
        return await self._by_token(request, workspace_id)

    def check(self, caller: Caller) -> None:
        """Raise ``not_permitted`` (403) for a caller who may not use models, by their role or the key's scopes."""
        rules.require(caller.actor, [Permission.INFERENCE])

    async def _by_token(self, request: AccessRequest, workspace_id: WorkspaceId) -> Caller:
        claims = self._claims(request.bearer) if request.bearer else None
        if claims is None:
            raise login_required()
        account, session = str(claims.get("sub", "")), str(claims.get("sid", ""))
        # The claims only locate the rows. The rows decide.
        projection_keys = [ProjectionKey(ProjectionKind.ACCOUNT, account)]
        if workspace_id:
            projection_keys += [
                ProjectionKey(ProjectionKind.MEMBER, "", workspace_id, AccountId(account)),
                *_of_workspace(workspace_id),
            ]
        rows = await self._store.read(projection_keys, SessionId(session))
        alive = rules.check_session(rows.session, now_seconds())
        person = rules.authenticate_person(request, CredentialKind.TOKEN, alive, rows.account(AccountId(account)))
        holder = rules.Holder(
            workspace=rows.workspace(workspace_id), member=rows.member(AccountId(account), workspace_id)
        )
        actor = rules.authenticate_member(person, holder, workspace_id)
        return _caller(actor, holder, rows)

    async def _by_key(self, request: AccessRequest, workspace_id: WorkspaceId) -> Caller:
        digest = hash_of_key(request.bearer)
        rows, key = await self._key(digest)
        try:
            key = rules.check_key(request, key, now_seconds())
        except Unauthorized:
            # A refused key must not take a place from keys in use.
            self._holders.pop(digest, None)
            raise
        person = rows.account(key.account_id) if key.account_id else None
        holder = rules.Holder(
            workspace=rows.workspace(key.workspace_id),
            account=person,
            member=rows.member(key.account_id, key.workspace_id) if person else None,
            service_account=rows.service_account(key.service_account_id, key.workspace_id)
            if key.service_account_id
            else None,
        )
        return _caller(rules.authenticate_key(request, key, holder, workspace_id), holder, rows, key)

    async def _key(self, digest: bytes) -> tuple[ProjectedRows, KnownKey | None]:
        """Return a key with its holder's rows, in one round trip if the holder was looked up before, else in two."""
        holder, own = self._holders.get(digest), ProjectionKey(ProjectionKind.KEY, digest.hex())
        if holder is None:
            first = await self._store.read([own])
            row = first.key(digest)
            if row is None:
                return first, None
            holder = _holder(row)
        rows = await self._store.read([own, *holder])
        key = rows.key(digest)
        # The remembered holder is stale. The key's present row decides.
        if key is not None and _holder(key) != holder:
            rows = await self._store.read([own, *_holder(key)])
            key = rows.key(digest)
        if key is not None:
            self._remember(digest, _holder(key))
        return rows, key

    def _remember(self, digest: bytes, holder: list[ProjectionKey]) -> None:
        self._holders[digest] = holder
        self._holders.move_to_end(digest)
        if len(self._holders) > REMEMBERED:
            self._holders.popitem(last=False)


def _caller(actor: Actor, holder: rules.Holder, rows: ProjectedRows, key: KnownKey | None = None) -> Caller:
    """Return an actor with the rows of a holder that the rules accepted, which implies a workspace."""
    if holder.workspace is None:
        raise login_required()
    return Caller(
        actor=actor,
        workspace=holder.workspace,
        member=holder.member,
        service_account=holder.service_account,
        key=key,
        credentials=rows.credentials(holder.workspace.id),
    )


def _holder(key: KnownKey) -> list[ProjectionKey]:
    projection_keys = _of_workspace(key.workspace_id)
    if key.account_id:
        return [
            *projection_keys,
            ProjectionKey(ProjectionKind.ACCOUNT, key.account_id),
            ProjectionKey(ProjectionKind.MEMBER, "", key.workspace_id, key.account_id),
        ]
    return [*projection_keys, ProjectionKey(ProjectionKind.SERVICE_ACCOUNT, key.service_account_id, key.workspace_id)]


def _of_workspace(workspace_id: WorkspaceId) -> list[ProjectionKey]:
    return [
        ProjectionKey(ProjectionKind.WORKSPACE, workspace_id),
        ProjectionKey(ProjectionKind.CREDENTIALS, workspace_id),
    ]
