"""From a credential to an actor: the one place that decides who somebody is, in every plane."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_cloud.contracts.access import (
    KnownAccount,
    KnownConfiguration,
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
from opencode_cloud.contracts.permissions import Permission, Role, allows
from opencode_cloud.kit.clock import now_seconds

if TYPE_CHECKING:
    from opencode_cloud.access.store import AccessStore, KeyUses

KEY_PREFIX = "oc_sk_"
_PROVEN_SESSION = "session#"
_PROVEN_KEY = "key#"
TokenSession = Callable[[str], str | None]
"""Verifies an access token and returns the id of its session; None for anything that is not one of ours now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a request says of its sender."""

    bearer: str = ""
    cookie: str = ""
    """The value of the session cookie."""
    proven: str = ""
    """In place of a credential: what :func:`proof_of` said of one that was checked before."""
    address: str = ""
    correlation_id: str = ""


class Access:
    """Authenticates requests against the projection; a truth older than five seconds is never used (invariant I9)."""

    def __init__(self, store: AccessStore, token_session: TokenSession, uses: KeyUses | None = None) -> None:
        """``uses`` is told which keys are used; a function that may not write has none."""
        self._store = store
        self._token_session = token_session
        self._uses = uses

    def account(self, request: Request) -> Actor:
        """Return the person behind a session or token, outside of any workspace.

        Raises ``login_required`` (401). A key is no person.
        """
        actor = self._account(request, None)[0]
        if actor is None:
            raise login_required()
        return actor

    def member(self, request: Request, workspace: str, *permissions: Permission) -> Actor:
        """Return the actor in ``workspace`` (empty: the key's own), who has all of ``permissions``.

        Raises ``login_required`` (401), ``workspace_required`` (401), ``workspace_not_found`` (404) for strangers, or
        ``not_permitted`` (403).
        """
        if request.bearer.startswith(KEY_PREFIX) or request.proven.startswith(_PROVEN_KEY):
            actor = self._key(request, workspace)
        else:
            actor = self._member(request, workspace)
        scopes = actor.scopes if actor.credential is Credential.KEY else None
        for permission in permissions:
            if not allows(actor.role, scopes, permission):
                raise not_permitted(permission)
        return actor

    def workspace(self, workspace: str) -> KnownWorkspace | None:
        """Return a workspace with the policy that is in force; None for one that is blocked or deleted."""
        return self._store.workspace(workspace)

    def standing(self, holder: str, workspace: str, permission: Permission) -> KnownWorkspace | None:
        """Return the workspace if ``holder`` (``acc_`` or ``svc_``) may do ``permission`` there now, by one round trip.

        For what somebody left behind and others go on with, such as a share that is written by its secret.
        """
        machine = holder.startswith("svc_")
        found = self._store.holder(
            KnownKey(
                id="", workspace=workspace, account="" if machine else holder, service_account=holder if machine else ""
            )
        )
        role = Role.ADMIN if found.service_account else found.member.role if found.member else ""
        return found.workspace if allows(role, None, permission) else None

    def memberships(self, account: str) -> list[tuple[KnownMember, KnownWorkspace]]:
        """Return the workspaces of a person and what they are in each, by name."""
        found = self._store.memberships(account)
        return sorted(found, key=lambda each: (each[1].name.casefold(), each[1].id))

    def clients(self, workspace: str) -> tuple[KnownWorkspace | None, KnownConfiguration | None]:
        """Return a workspace and what its clients are configured with (None: nothing), by one round trip."""
        return self._store.clients(workspace)

    def may_sign_in(self, account: str) -> bool:
        """Tell whether there is such a person, who is not blocked."""
        return self._store.person(account, None).account is not None

    def _member(self, request: Request, workspace: str) -> Actor:
        actor, member = self._account(request, workspace)
        if actor is None:
            raise login_required()
        if not workspace:
            raise workspace_required()
        if member is None:
            raise workspace_not_found()
        return member

    def _account(self, request: Request, workspace: str | None) -> tuple[Actor | None, Actor | None]:
        """Return the person, and the person as a member of ``workspace``, by one round trip."""
        credential, session_id = self._session_id(request)
        if session_id is None:
            return None, None
        found = self._store.session(session_id)
        if found is None or found.expires_at <= now_seconds():
            return None, None
        known = self._store.person(found.account, workspace or None)
        if known.account is None:
            return None, None
        person = Actor(
            kind=ActorKind.ACCOUNT,
            credential=credential,
            id=known.account.id,
            name=known.account.email,
            account=known.account.id,
            session=found.id,
            address=request.address,
            correlation_id=request.correlation_id,
        )
        if known.member is None or known.workspace is None:
            return person, None
        member = Actor(
            kind=ActorKind.MEMBER,
            credential=credential,
            id=known.member.id,
            name=known.account.email,
            account=known.account.id,
            session=found.id,
            workspace=known.workspace.id,
            role=known.member.role,
            address=request.address,
            correlation_id=request.correlation_id,
        )
        return person, member

    def _session_id(self, request: Request) -> tuple[Credential, str | None]:
        if request.proven:
            return Credential.SESSION, request.proven.removeprefix(_PROVEN_SESSION)
        if request.bearer:
            return Credential.TOKEN, self._token_session(request.bearer)
        if request.cookie:
            return Credential.SESSION, session_of_cookie(request.cookie)
        return Credential.NONE, None

    def _key(self, request: Request, workspace: str) -> Actor:
        proven = request.proven.removeprefix(_PROVEN_KEY)
        key = self._store.key(bytes.fromhex(proven) if proven else hash_of_key(request.bearer))
        if key is None or not usable(key, request.address, anywhere=bool(proven)):
            raise login_required()
        holder = self._store.holder(key)
        if holder.workspace is None or (holder.member is None and holder.service_account is None):
            raise login_required()
        if workspace and workspace != key.workspace:
            raise workspace_not_found()
        if self._uses is not None and not proven:
            self._uses.note(key.id)
        return actor_of_key(request, key, holder.account, holder.member, holder.service_account)


def hash_of_key(key: str) -> bytes:
    """Return what is stored of a key. A plain hash suffices: a key has 256 bits of entropy."""
    return hashlib.sha256(key.encode()).digest()


def proof_of(request: Request, actor: Actor) -> str:
    """Return what names the credential of ``actor`` without being one, so that it can be looked at again later."""
    if request.proven:
        return request.proven
    if actor.credential is Credential.KEY:
        return _PROVEN_KEY + hash_of_key(request.bearer).hex()
    return _PROVEN_SESSION + actor.session


def session_of_cookie(cookie: str) -> str:
    """Return the id under which a browser's session is kept: a hash of the cookie's value, which is stored nowhere."""
    return "sid_" + hashlib.sha256(cookie.encode()).hexdigest()[:48]


def actor_of_key(
    request: Request,
    key: KnownKey,
    person: KnownAccount | None,
    member: KnownMember | None,
    machine: KnownServiceAccount | None,
) -> Actor:
    """Return who acts with ``key``: ``person`` as ``member``, or ``machine``."""
    return Actor(
        kind=ActorKind.MEMBER if member else ActorKind.SERVICE_ACCOUNT,
        credential=Credential.KEY,
        id=member.id if member else machine.id if machine else "",
        name=(person.email if person else "") if member else machine.name if machine else "",
        account=key.account,
        workspace=key.workspace,
        role=member.role if member else Role.ADMIN,
        key=key.id,
        scopes=key.scopes,
        models=key.models,
        address=request.address,
        correlation_id=request.correlation_id,
    )


def usable(key: KnownKey, address: str, *, anywhere: bool = False) -> bool:
    """Tell whether a key is not expired and may be used from ``address``, which ``anywhere`` leaves unchecked."""
    if key.expires_at is not None and key.expires_at <= now_seconds():
        return False
    if key.networks is None or anywhere:
        return True
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(client in ipaddress.ip_network(network, strict=False) for network in key.networks)
