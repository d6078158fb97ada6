"""The actor that a credential represents, as rules and audit entries need it. Independent of all features."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import AccountId, GroupId, KeyId, SessionId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission, allows


class ActorKind(StrEnum):
    """The kind of an actor."""

    ANONYMOUS = "anonymous"
    ACCOUNT = "account"
    """A signed-in person outside of any workspace, acting on their own resources."""
    MEMBER = "member"
    """A person in one workspace."""
    SERVICE_ACCOUNT = "service_account"
    OPERATOR = "operator"
    """A person with the deployment's AWS credentials."""
    SYSTEM = "system"
    """A schedule or a queue of the deployment."""


class CredentialKind(StrEnum):
    """The kind of credential that proved an actor's identity."""

    NONE = "none"
    SESSION = "session"
    """The cookie of a browser."""
    TOKEN = "token"  # noqa: S105 - a kind, not a value
    """An access token of a device."""
    KEY = "key"
    OPERATOR = "operator"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """The actor of one request.

    ``id`` is from the table of its kind (``acc_``, ``mem_``, ``svc_``). ``name`` is shown in audit entries: an address
    or a name. ``scopes`` limit what a key may do; sessions and tokens have all of them.
    """

    kind: ActorKind
    credential: CredentialKind = CredentialKind.NONE
    id: str = ""
    name: str = ""
    account_id: AccountId = AccountId("")
    session_id: SessionId = SessionId("")
    workspace_id: WorkspaceId = WorkspaceId("")
    role: str = ""
    key_id: KeyId = KeyId("")
    scopes: frozenset[str] = frozenset()
    models: tuple[str, ...] | None = None
    """Patterns (``provider/model``) of the models that a key may use; None allows all."""
    groups: tuple[GroupId, ...] = ()
    """Groups of the acting member."""
    address: str = ""
    """The client's IP address."""
    correlation_id: str = ""

    def may(self, permission: Permission) -> bool:
        """Tell whether the actor's role, and the scopes of their key, include ``permission``.

        Operators have all permissions.
        """
        if self.kind is ActorKind.OPERATOR:
            return True
        return allows(self.role, self.scopes if self.credential is CredentialKind.KEY else None, permission)


ANONYMOUS = Actor(kind=ActorKind.ANONYMOUS)
