"""From a credential to who may call models, for the gateway: the same rules as everywhere, in one round trip.

A key's row says whose it is, and that has to be looked up too, which makes two reads in sequence. So the gateway
remembers where the holder of a key stands (never whether, or what they may do), and reads all of it at once from the
key's second use on. If the key's row then says otherwise, it is read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opencode_cloud.access.models import Kind, Place
from opencode_cloud.access.service.authentication import KEY_PREFIX, Request, actor_of_key, hash_of_key, usable
from opencode_cloud.contracts.access import (
    KnownCredentials,
    KnownKey,
    KnownMember,
    KnownServiceAccount,
    KnownWorkspace,
    login_required,
    not_permitted,
    workspace_not_found,
    workspace_required,
)
from opencode_cloud.contracts.actor import Actor, ActorKind, Credential
from opencode_cloud.contracts.permissions import Permission, allows
from opencode_cloud.kit.clock import now_seconds

if TYPE_CHECKING:
    from opencode_cloud.access.store.inference import InferenceStore, Rows

REMEMBERED = 10_000
"""Keys whose holder's place is remembered."""

TokenClaims = Callable[[str], Mapping[str, Any] | None]
"""Verifies an access token and returns its claims; None for anything that is not one of ours now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls a model, with all that decides what they may use."""

    actor: Actor
    workspace: KnownWorkspace
    member: KnownMember | None = None
    service_account: KnownServiceAccount | None = None
    key: KnownKey | None = None
    credentials: KnownCredentials


class InferenceAccess:
    """Authenticates callers of models against the projection; nothing that it decides by is older than the request."""

    def __init__(self, store: InferenceStore, claims: TokenClaims) -> None:
        self._store = store
        self._claims = claims
        self._holders: OrderedDict[bytes, list[Place]] = OrderedDict()

    async def caller(self, request: Request, workspace: str) -> Caller:
        """Return who sent ``request``; ``workspace`` is the one that the client named, empty for a key's own.

        Raises ``login_required`` (401), ``workspace_required`` (401), ``workspace_not_found`` (404) for strangers, or
        ``not_permitted`` (403) for whoever may not use models.
        """
        if request.bearer.startswith(KEY_PREFIX):
            caller = await self._by_key(request, workspace)
        else:
            caller = await self._by_token(request, workspace)
        scopes = caller.actor.scopes if caller.key else None
        if not allows(caller.actor.role, scopes, Permission.INFERENCE):
            raise not_permitted(Permission.INFERENCE)
        return caller

    async def _by_token(self, request: Request, workspace: str) -> Caller:
        claims = self._claims(request.bearer) if request.bearer else None
        if claims is None:
            raise login_required()
        account, session = str(claims.get("sub", "")), str(claims.get("sid", ""))
        places = [Place(Kind.ACCOUNT, account)]
        if workspace:
            places += [Place(Kind.MEMBER, "", workspace, account), *_of_workspace(workspace)]
        rows = await self._store.read(places, session)
        person = rows.account(account)
        alive = rows.session is not None and rows.session.expires_at > now_seconds()
        if not alive or person is None or rows.session is None or rows.session.account != account:
            raise login_required()
        if not workspace:
            raise workspace_required()
        member, place = rows.member(account, workspace), rows.workspace(workspace)
        if member is None or place is None:
            raise workspace_not_found()
        actor = Actor(
            kind=ActorKind.MEMBER,
            credential=Credential.TOKEN,
            id=member.id,
            name=person.email,
            account=account,
            session=session,
            workspace=workspace,
            role=member.role,
            address=request.address,
            correlation_id=request.correlation_id,
        )
        return Caller(actor=actor, workspace=place, member=member, credentials=rows.credentials(workspace))

    async def _by_key(self, request: Request, workspace: str) -> Caller:
        digest = hash_of_key(request.bearer)
        rows, key = await self._key(digest)
        if key is None or not usable(key, request.address):
            self._holders.pop(digest, None)
            raise login_required()
        place = rows.workspace(key.workspace)
        person = rows.account(key.account) if key.account else None
        member = rows.member(key.account, key.workspace) if person else None
        machine = rows.service_account(key.service_account, key.workspace) if key.service_account else None
        if place is None or (member is None and machine is None):
            raise login_required()
        if workspace and workspace != key.workspace:
            raise workspace_not_found()
        return Caller(
            actor=actor_of_key(request, key, person, member, machine),
            workspace=place,
            member=member,
            service_account=machine,
            key=key,
            credentials=rows.credentials(key.workspace),
        )

    async def _key(self, digest: bytes) -> tuple[Rows, KnownKey | None]:
        """Return a key with the rows of its holder: by one round trip if its holder was looked up before, else two."""
        holder, own = self._holders.get(digest), Place(Kind.KEY, digest.hex())
        if holder is None:
            first = await self._store.read([own])
            found = first.key(digest)
            if found is None:
                return first, None
            holder = _holder(found)
        rows = await self._store.read([own, *holder])
        key = rows.key(digest)
        if key is not None and _holder(key) != holder:
            rows = await self._store.read([own, *_holder(key)])
            key = rows.key(digest)
        if key is not None:
            self._remember(digest, _holder(key))
        return rows, key

    def _remember(self, digest: bytes, holder: list[Place]) -> None:
        self._holders[digest] = holder
        self._holders.move_to_end(digest)
        if len(self._holders) > REMEMBERED:
            self._holders.popitem(last=False)


def _holder(key: KnownKey) -> list[Place]:
    places = _of_workspace(key.workspace)
    if key.account:
        return [*places, Place(Kind.ACCOUNT, key.account), Place(Kind.MEMBER, "", key.workspace, key.account)]
    return [*places, Place(Kind.SERVICE_ACCOUNT, key.service_account, key.workspace)]


def _of_workspace(workspace: str) -> list[Place]:
    return [Place(Kind.WORKSPACE, workspace), Place(Kind.CREDENTIALS, workspace)]
