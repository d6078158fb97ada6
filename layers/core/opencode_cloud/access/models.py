"""The models of access: sessions, keys, members and workspaces as the data planes know them; and their errors."""

from __future__ import annotations

from enum import StrEnum

import msgspec

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


class ProjectionKind(StrEnum):
    """The kind of thing that a projected row represents."""

    ACCOUNT = "account"
    WORKSPACE = "workspace"
    MEMBER = "member"
    SERVICE_ACCOUNT = "service_account"
    KEY = "key"
    CONFIGURATION = "configuration"
    CREDENTIALS = "credentials"
    """The workspace's own credentials for model providers."""


OF_WORKSPACE = (ProjectionKind.WORKSPACE, ProjectionKind.CONFIGURATION, ProjectionKind.CREDENTIALS)
"""The kinds of row that each workspace has exactly once."""


class ProjectionKey(msgspec.Struct, frozen=True, order=True):
    """The location of the projection of one thing, even if the thing no longer exists."""

    kind: ProjectionKind
    id: str
    """Id of the account, workspace, member or service account; for a key its hash, in hexadecimal."""
    workspace_id: WorkspaceId = WorkspaceId("")
    """The workspace of a member or service account."""
    account_id: AccountId = AccountId("")
    """The account of a member."""

    @property
    def row(self) -> tuple[str, str]:
        """Return the row's key, ``pk`` and ``sk``."""
        match self.kind:
            case ProjectionKind.ACCOUNT:
                return f"account#{self.id}", "ACCOUNT"
            case ProjectionKind.WORKSPACE:
                return f"workspace#{self.id}", "WORKSPACE"
            case ProjectionKind.MEMBER:
                return f"account#{self.account_id}", f"MEMBER#{self.workspace_id}"
            case ProjectionKind.SERVICE_ACCOUNT:
                return f"workspace#{self.workspace_id}", f"SERVICE#{self.id}"
            case ProjectionKind.KEY:
                return f"key#{self.id}", "KEY"
            case ProjectionKind.CONFIGURATION:
                return f"workspace#{self.id}", "CONFIG"
            case ProjectionKind.CREDENTIALS:
                return f"workspace#{self.id}", "CREDENTIALS"


Known = (
    KnownAccount | KnownWorkspace | KnownMember | KnownServiceAccount | KnownKey | KnownConfiguration | KnownCredentials
)
"""The value of a projected row."""
