"""Announce an event to the webhook of its workspace, in the transaction that makes it true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now

if TYPE_CHECKING:
    from opencode_cloud.outbox.service import UnitOfWork
    from opencode_cloud.webhooks.store.deliveries import DeliveryStore

TEST = "webhook.test"


class Announcer:
    """Writes deliveries. A workspace without a webhook gets none."""

    def __init__(self, store: DeliveryStore) -> None:
        self._store = store

    def announce(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, message_id: str, kind: str, facts: Mapping[str, Any]
    ) -> bool:
        """Send ``facts`` of an event of the type ``kind``, once for each ``message_id``; return whether it is sent.

        The body begins with ``id``, ``type``, ``created_at`` and ``workspace``.
        """
        name = self._store.workspace_name(unit.connection, workspace_id)
        if name is None or self._store.hook(unit.connection, workspace_id) is None:
            return False
        now = utc_now()
        body = {
            "id": message_id,
            "type": kind,
            "created_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "workspace": {"id": workspace_id, "name": name},
            **facts,
        }
        if self._store.add_once(unit.connection, workspace_id, message_id, kind, msgspec.json.encode(body), now):
            unit.emit(Topic.WEBHOOK, message_id)
        return True
