"""Who acts: what a credential was found to stand for, as rules and audit entries need it. Knows no feature."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from opencode_cloud.contracts.ids import AccountId, KeyId, SessionId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission, allows


class ActorKind(StrEnum):
    """What an actor is."""

    ANONYMOUS = "anonymous"
    ACCOUNT = "account"
    """A person outside of any workspace: signed in, acting on what is their own."""
    MEMBER = "member"
    """A person in one workspace."""
    SERVICE_ACCOUNT = "service_account"
    OPERATOR = "operator"
    """Whoever holds the deployment's AWS credentials."""
    SYSTEM = "system"
    """A schedule or a queue of ours."""


class Credential(StrEnum):
    """How an actor proved who they are."""

    NONE = "none"
    SESSION = "session"
    """The cookie of a browser."""
    TOKEN = "token"  # noqa: S105 - a kind, not a value
    """An access token of a device."""
    KEY = "key"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One request's actor.

    ``id`` is of the kind's own table (``acc_``, ``mem_``, ``svc_``). ``name`` is what audit entries show, an address or
    a name. ``scopes`` bound what a key may do; sessions and tokens have all of them.
    """

    kind: ActorKind
    credential: Credential = Credential.NONE
    id: str = ""
    name: str = ""
    account_id: AccountId = AccountId("")
    session_id: SessionId = SessionId("")
    workspace_id: WorkspaceId = WorkspaceId("")
    role: str = ""
    key_id: KeyId = KeyId("")
    scopes: frozenset[str] = frozenset()
    models: tuple[str, ...] | None = None
    """Patterns (``provider/model``) of the models that a key may use; None bounds nothing."""
    address: str = ""
    """The client's IP address."""
    correlation_id: str = ""

    def may(self, permission: Permission) -> bool:
        """Tell whether the actor's role, and the scopes of their key, include ``permission``. Operators may all."""
        if self.kind is ActorKind.OPERATOR:
            return True
        return allows(self.role, self.scopes if self.credential is Credential.KEY else None, permission)


ANONYMOUS = Actor(kind=ActorKind.ANONYMOUS)
