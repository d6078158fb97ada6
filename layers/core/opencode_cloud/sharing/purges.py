"""The purge queue and the schedule to the services of sharing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from opencode_cloud.kit import log
from opencode_cloud.kit.log import logger
from opencode_cloud.sharing.service import Removal
from opencode_cloud.sharing.store import PurgeRequest


class Purges:
    """Takes purge requests from the queue and ticks from the schedule."""

    def __init__(self, removal: Removal) -> None:
        self._removal = removal

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Purge what the batch names; answer which messages are to come again."""
        if "Records" not in event:
            log.count("ExpiredCount", self._removal.sweep())
            return {}
        failures: list[dict[str, str]] = []
        for message in event["Records"]:
            try:
                request = msgspec.json.decode(message["body"], type=PurgeRequest)
                if request.workspace:
                    self._removal.remove_workspace(request.workspace)
                else:
                    self._removal.purge(request.share, request.round)
            except Exception:  # noqa: BLE001 - one bad entry must not fail the batch; it is logged and comes again
                logger.exception("purge failed")
                failures.append({"itemIdentifier": message["messageId"]})
        return {"batchItemFailures": failures}
