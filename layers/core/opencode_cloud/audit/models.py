"""Models of the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opencode_cloud.contracts.ids import KeyId, WorkspaceId


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """A filter of entries. None and empty values match all."""

    actor: str = ""
    """Id or name of the actor."""
    action: str = ""
    """An action, or a prefix of actions, such as ``member.*``."""
    target: str = ""
    """Id or name of the target."""
    since: datetime | None = None
    until: datetime | None = None
