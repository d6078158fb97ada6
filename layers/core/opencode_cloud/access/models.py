"""The nouns of access: what the hot planes know of sessions, keys, members and workspaces; and their errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from opencode_cloud.contracts.access import (
    KnownAccount,
    KnownConfiguration,
    KnownCredentials,
    KnownKey,
    KnownMember,
    KnownServiceAccount,
    KnownWorkspace,
)
from opencode_cloud.contracts.ids import AccountId, WorkspaceId


class Kind(StrEnum):
    """What a projected row is about."""

    ACCOUNT = "account"
    WORKSPACE = "workspace"
    MEMBER = "member"
    SERVICE_ACCOUNT = "service_account"
    KEY = "key"
    CONFIGURATION = "configuration"
    CREDENTIALS = "credentials"
    """The workspace's own credentials for model providers."""


OF_WORKSPACE = (Kind.WORKSPACE, Kind.CONFIGURATION, Kind.CREDENTIALS)
"""What there is once a workspace."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where one thing is projected to, also when it exists no longer."""

    kind: Kind
    id: str
    """Of the account, workspace, member, service account; of a key its hash, in hexadecimal."""
    workspace_id: WorkspaceId = WorkspaceId("")
    """Of a member or service account."""
    account_id: AccountId = AccountId("")
    """Of a member."""

    @property
    def row(self) -> tuple[str, str]:
        """The row's key, ``pk`` and ``sk``."""
        match self.kind:
            case Kind.ACCOUNT:
                return f"account#{self.id}", "ACCOUNT"
            case Kind.WORKSPACE:
                return f"workspace#{self.id}", "WORKSPACE"
            case Kind.MEMBER:
                return f"account#{self.account_id}", f"MEMBER#{self.workspace_id}"
            case Kind.SERVICE_ACCOUNT:
                return f"workspace#{self.workspace_id}", f"SERVICE#{self.id}"
            case Kind.KEY:
                return f"key#{self.id}", "KEY"
            case Kind.CONFIGURATION:
                return f"workspace#{self.id}", "CONFIG"
            case Kind.CREDENTIALS:
                return f"workspace#{self.id}", "CREDENTIALS"


Known = (
    KnownAccount | KnownWorkspace | KnownMember | KnownServiceAccount | KnownKey | KnownConfiguration | KnownCredentials
)
"""What a projected row holds."""
