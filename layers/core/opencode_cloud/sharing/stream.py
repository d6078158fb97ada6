"""Events of the stream of the table ``shares``, passed to the services of sharing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.batches import StreamBatch, StreamRecord
from opencode_cloud.kit.errors import Gone
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.models import Position
from opencode_cloud.sharing.service.snapshots import Snapshots


class LogEnd(msgspec.Struct, frozen=True):
    """The end of a share's log."""

    share_id: ShareId
    position: Position


class SharingStream:
    """Tells the snapshots service how far each log has grown."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._batch = StreamBatch(_log_end, self._follow)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Follow the end of every log in the batch once. Return the logs that failed, by their last record."""
        return self._batch.handle(event)

    def _follow(self, changes: Sequence[StreamRecord[LogEnd]]) -> list[StreamRecord[LogEnd]]:
        ends = {change.payload.share_id: change for change in changes}
        return [change for change in ends.values() if not self._follow_one(change.payload)]

    def _follow_one(self, end: LogEnd) -> bool:
        try:
            if self._snapshots.follow(end.share_id, end.position) is not None:
                log.count("SnapshotCount")
        except Gone:
            logger.info("share went while it was folded", extra={"share": end.share_id})
        except Exception:  # noqa: BLE001 - one log must not fail the others of its batch; it is logged and comes again
            logger.exception("snapshot failed", extra={"share": end.share_id})
            return False
        return True


def _log_end(record: Mapping[str, Any]) -> LogEnd:
    image = record["dynamodb"]["NewImage"]
    return LogEnd(image["pk"]["S"], Position(int(image["last"]["N"]), int(image["total"]["N"])))
