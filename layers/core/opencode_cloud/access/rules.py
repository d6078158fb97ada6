"""The rules of authentication: from the rows of a credential to an actor. All planes decide here only.

The functions read nothing. ``service/authentication.py`` (boto3) and ``service/inference.py`` (the event loop of the
gateway) read the rows and call them. An absent row (None) stands for a thing that does not exist, or is blocked,
disabled, revoked or removed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.access import (
    KeyRefused,
    login_required,
    not_permitted,
    workspace_not_found,
    workspace_required,
)
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Role, allows

if TYPE_CHECKING:
    from opencode_cloud.access.credentials import AccessRequest
    from opencode_cloud.contracts.access import (
        KnownAccount,
        KnownKey,
        KnownMember,
        KnownServiceAccount,
        KnownSession,
        KnownWorkspace,
    )
    from opencode_cloud.contracts.permissions import Permission


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """The present rows of a credential's holder: a person as a member, or a service account, and their workspace."""

    workspace: KnownWorkspace | None = None
    account: KnownAccount | None = None
    member: KnownMember | None = None
    service_account: KnownServiceAccount | None = None

    @property
    def is_in_workspace(self) -> bool:
        """Tell whether the workspace exists and the holder belongs to it."""
        person = self.account is not None and self.member is not None
        return self.workspace is not None and (person or self.service_account is not None)


def check_key(request: AccessRequest, key: KnownKey | None, now: int) -> KnownKey:
    """Return a key that may be used at ``now`` (seconds) from the request's address; else raise ``login_required``.

    The address is not checked for a credential that was checked before. The error for a key that exists is a
    :class:`KeyRefused`.
    """
    if key is None:
        raise login_required()
    if key.expires_at is not None and key.expires_at <= now:
        raise _refused(request, key, "key_expired", "The key has expired.")
    # A later check by proof has no client address; the address was checked with the credential itself.
    if not request.proven and not _is_within(key.networks, request.address):
        raise _refused(request, key, "network_not_permitted", "The key may not be used from this IP address.")
    return key


def authenticate_key(request: AccessRequest, key: KnownKey, holder: Holder, workspace_id: WorkspaceId) -> Actor:
    """Return the actor of a key that :func:`check_key` accepted. An empty ``workspace_id`` means the key's own.

    Raises ``login_required`` (401) when the holder is gone, ``workspace_not_found`` (404) in another workspace.
    """
    if holder.workspace is None:
        raise login_required()
    if not holder.is_in_workspace:
        raise _refused(request, key, "holder_removed", "The key's holder is not in the workspace any more.")
    if workspace_id and workspace_id != key.workspace_id:
        raise workspace_not_found()
    person, member, machine = holder.account, holder.member, holder.service_account
    return Actor(
        kind=ActorKind.MEMBER if member else ActorKind.SERVICE_ACCOUNT,
        credential=CredentialKind.KEY,
        id=member.id if member else machine.id if machine else "",
        name=(person.email if person else "") if member else machine.name if machine else "",
        account_id=key.account_id,
        workspace_id=key.workspace_id,
        # A service account has the role admin, and its keys' scopes narrow it (contracts/permissions.py).
        role=member.role if member else Role.ADMIN,
        key_id=key.id,
        scopes=key.scopes,
        models=key.models,
        groups=member.groups if member else (),
        address=request.address,
        correlation_id=request.correlation_id,
    )


def _refused(request: AccessRequest, key: KnownKey, rule: str, reason: str) -> KeyRefused:
    """Return the refusal of a key, with the holder whom its row names and without a role."""
    holder = Actor(
        kind=ActorKind.SERVICE_ACCOUNT if key.service_account_id else ActorKind.MEMBER,
        credential=CredentialKind.KEY,
        id=key.service_account_id or key.member_id,
        account_id=key.account_id,
        workspace_id=key.workspace_id,
        key_id=key.id,
        address=request.address,
        correlation_id=request.correlation_id,
    )
    return KeyRefused(holder, key, rule, reason)


def check_session(session: KnownSession | None, now: int) -> KnownSession:
    """Return a session that is valid at ``now`` (seconds); else raise ``login_required``."""
    if session is None or session.expires_at <= now:
        raise login_required()
    return session


def authenticate_person(
    request: AccessRequest, credential: CredentialKind, session: KnownSession, account: KnownAccount | None
) -> Actor:
    """Return the person of a session that :func:`check_session` accepted, outside of any workspace.

    Raises ``login_required`` (401) when the person is blocked, or the session belongs to another person.
    """
    # The gateway reads a token's person and session at once, so check here that they belong together.
    if account is None or account.id != session.account_id:
        raise login_required()
    return Actor(
        kind=ActorKind.ACCOUNT,
        credential=credential,
        id=account.id,
        name=account.email,
        account_id=account.id,
        session_id=session.id,
        address=request.address,
        correlation_id=request.correlation_id,
    )


def authenticate_member(person: Actor, holder: Holder, workspace_id: WorkspaceId) -> Actor:
    """Return a person as a member of ``workspace_id``.

    Raises ``workspace_required`` (401) without a workspace, ``workspace_not_found`` (404) for non-members.
    """
    if not workspace_id:
        raise workspace_required()
    # The same answer for a missing workspace and for a stranger hides which workspaces exist.
    if holder.member is None or holder.workspace is None:
        raise workspace_not_found()
    return msgspec.structs.replace(
        person,
        kind=ActorKind.MEMBER,
        id=holder.member.id,
        workspace_id=holder.workspace.id,
        role=holder.member.role,
        groups=holder.member.groups,
    )


def require(actor: Actor, permissions: Iterable[Permission]) -> Actor:
    """Return the actor if it has all of ``permissions``; else raise ``not_permitted`` (403)."""
    for permission in permissions:
        if not actor.may(permission):
            raise not_permitted(permission)
    return actor


def workspace_permitting(holder: Holder, permission: Permission) -> KnownWorkspace | None:
    """Return the workspace of a holder who has ``permission`` there, regardless of any credential; else None."""
    role = Role.ADMIN if holder.service_account else holder.member.role if holder.member else ""
    return holder.workspace if allows(role, None, permission) else None


def _is_within(networks: Iterable[str] | None, address: str) -> bool:
    """Tell whether an IP address is in one of ``networks``. None admits every address."""
    if networks is None:
        return True
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        # An address that is not readable must not pass a restriction.
        return False
    return any(client in ipaddress.ip_network(network, strict=False) for network in networks)
