"""Models of the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import KeyId, WorkspaceId


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the trail, with the names of the table's columns."""

    id: str
    workspace_id: WorkspaceId | None
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    credential: str
    key_id: KeyId | None
    action: str
    target_kind: str
    target_id: str
    target_name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str
    correlation_id: str


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of entries. None and empty values match all."""

    actor: str = ""
    """Id or name of the actor."""
    action: str = ""
    """An action, or a prefix of actions, such as ``member.*``."""
    target: str = ""
    """Id or name of the target."""
    since: datetime | None = None
    until: datetime | None = None
