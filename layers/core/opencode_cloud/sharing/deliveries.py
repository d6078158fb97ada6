"""Asynchronous deliveries to the services of sharing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import ConnectionId
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.models import Viewer
from opencode_cloud.sharing.service.access import ShareAccess, is_over
from opencode_cloud.sharing.service.fan_out import FanOut
from opencode_cloud.sharing.service.rescan import Rescan
from opencode_cloud.sharing.service.snapshots import Snapshots
from opencode_cloud.sharing.service.viewing import Replay
from opencode_cloud.sharing.store import ConnectionStore, DeliveryTask, ShareStore


class Deliveries:
    """Carries out the deliveries that :class:`~opencode_cloud.sharing.store.Tasks` handed over."""

    def __init__(
        self,
        store: ShareStore,
        connections: ConnectionStore,
        fan_out: FanOut,
        snapshots: Snapshots,
        share_access: ShareAccess,
        rescan: Rescan,
    ) -> None:
        self._store = store
        self._fan_out = fan_out
        self._share_access = share_access
        self._rescan = rescan
        self._replay = Replay(store, connections, fan_out, snapshots, share_access)

    def handle(self, event: Mapping[str, Any]) -> None:
        """Carry out one delivery. Do nothing for a share that was removed meanwhile."""
        delivery = msgspec.convert(dict(event), type=DeliveryTask)
        if delivery.task == "replay":
            for connection, *_ in delivery.viewers:
                self._replay.run(delivery.share_id, ConnectionId(connection))
            return
        if delivery.task == "rescan":
            self._rescan.run(delivery.share_id)
            return
        share = self._store.share(delivery.share_id)
        record = self._store.record_with(delivery.share_id, delivery.seq)
        if share is None or is_over(share) or record is None:
            logger.info("share went before its delivery", extra={"share": delivery.share_id})
            return
        viewers = [Viewer(ConnectionId(viewer[0]), *viewer[1:]) for viewer in delivery.viewers]
        self._fan_out.push(share, record, viewers, mode=self._share_access.audience(share))
