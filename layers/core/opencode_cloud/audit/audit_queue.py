"""Send audit entries of the planes without SQL to a queue, which ``functions/relay`` writes into the trail."""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.audit.models import AuditRecord
from opencode_cloud.audit.service import entry
from opencode_cloud.contracts.actor import Actor
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import aws


class AuditQueue:
    """Queue of entries from the planes without SQL. Each entry is written once, by its id."""

    def __init__(self, url: str) -> None:
        self._url = url

    def record(
        self,
        actor: Actor,
        action: str,
        target: Target,
        *,
        workspace_id: WorkspaceId | None = None,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        """Record as ``AuditTrail.record`` does. Call it after the change has been made."""
        self.send(entry(actor, action, target, workspace_id=workspace_id, before=before, after=after))

    def send(self, entry: AuditRecord) -> None:
        """Queue an entry."""
        aws.sqs().send_message(self._url, msgspec.json.encode(entry).decode())
