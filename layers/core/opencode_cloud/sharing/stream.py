"""The stream of the table ``shares`` to the services of sharing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_cloud.kit import log
from opencode_cloud.kit.errors import Gone
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.models import Position
from opencode_cloud.sharing.service import Snapshots


class SharingStream:
    """Tells snapshots how far each log has grown."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Follow the end of every log in the batch, once; answer where to begin again after a failure.

        A partial answer names the earliest failed sequence number: what follows it in the shard comes again.
        """
        ends: dict[str, tuple[Position, str]] = {}
        for change in event["Records"]:
            image = change["dynamodb"]["NewImage"]
            end = Position(int(image["last"]["N"]), int(image["total"]["N"]))
            ends[image["pk"]["S"]] = (end, change["dynamodb"]["SequenceNumber"])
        failures: list[dict[str, str]] = []
        for share_id, (end, number) in ends.items():
            try:
                if self._snapshots.follow(share_id, end) is not None:
                    log.count("SnapshotCount")
            except Gone:
                logger.info("share went while it was folded", extra={"share": share_id})
            except Exception:  # noqa: BLE001 - one bad entry must not fail the batch; it is logged and comes again
                logger.exception("snapshot failed", extra={"share": share_id})
                failures.append({"itemIdentifier": number})
        return {"batchItemFailures": failures}
