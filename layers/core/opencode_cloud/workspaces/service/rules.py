"""Rules that several services of workspaces share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.contracts.access import person_required, workspace_not_found
from opencode_cloud.contracts.actor import Actor, ActorKind, CredentialKind
from opencode_cloud.contracts.ids import MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.workspaces.models import Workspace, owners_only

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.workspaces.store import WorkspaceStore


def require_owner_for(actor: Actor, *roles: Role) -> None:
    """Raise ``owners_only`` when ``roles`` include the owner's and the actor is neither an owner nor an operator."""
    if Role.OWNER in roles and actor.role != Role.OWNER and actor.kind not in {ActorKind.OPERATOR, ActorKind.SYSTEM}:
        raise owners_only()


def require_person(actor: Actor) -> None:
    """Raise ``person_required`` for keys. Only the person decides about their own membership."""
    if actor.credential is CredentialKind.KEY or actor.kind not in {ActorKind.ACCOUNT, ActorKind.MEMBER}:
        raise person_required()


def member_behind(actor: Actor) -> MemberId | None:
    """Return the id of the acting member, also one who acts by a key; None for all other actors."""
    return MemberId(actor.id) if actor.kind is ActorKind.MEMBER else None


def locked(store: WorkspaceStore, connection: Connection, workspace_id: WorkspaceId) -> Workspace:
    """Lock and return a workspace until the end of the transaction; raises ``workspace_not_found``."""
    workspace = store.lock(connection, workspace_id)
    if workspace is None or not workspace.alive:
        raise workspace_not_found()
    return workspace
