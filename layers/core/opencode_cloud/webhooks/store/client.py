"""Post messages to the webhooks of workspaces."""

from __future__ import annotations

from collections.abc import Mapping

from opencode_cloud.kit.log import logger
from opencode_cloud.kit.outbound_http import OutboundConnections, failures


class HookClient:
    """A client for webhooks."""

    def __init__(self, *, private: bool) -> None:
        """Create a client. ``private``: whether addresses of private networks may be called."""
        self._connections = OutboundConnections(private=private)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        """Post ``body``; return the status of the answer, None without one."""
        try:
            # Read the status only, because the body might never end.
            status, _ = self._connections.request("POST", url, headers, body, longest=0)
        except failures() as error:
            logger.info("webhook unreachable", extra={"reason": type(error).__name__})
            return None
        return status
