"""Work that continues after an answer: deliveries by asynchronous invocation, purges by queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from opencode_cloud.contracts.ids import ConnectionId, ShareId, WorkspaceId
from opencode_cloud.kit import aws
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.sharing.models import Protocol, Viewer

if TYPE_CHECKING:
    from collections.abc import Sequence

VIEWERS_PER_PUSH = 200


class DeliveryTask(msgspec.Struct, omit_defaults=True):
    """A request to the function ``deliver``: replay a share to a viewer, push a record to many, or rescan a share."""

    task: Literal["replay", "push", "rescan"]
    share_id: ShareId
    viewers: list[tuple[ConnectionId, Protocol, str]] = []
    seq: int = 0


class PurgeRequest(msgspec.Struct, omit_defaults=True):
    """A request to the function ``purge``. ``round`` 1 removes, later rounds verify that nothing is left.

    With ``workspace`` instead of ``share``: remove all shares of a deleted workspace.
    """

    share_id: ShareId = ShareId("")
    round: int = 1
    workspace_id: WorkspaceId = WorkspaceId("")


class Tasks:
    """Queues deliveries and purges."""

    def __init__(self, deliver_function: str = "", purge_queue: str = "") -> None:
        self._deliver_function = deliver_function
        self._purge_queue = purge_queue

    def replay(self, share_id: ShareId, viewer: Viewer) -> None:
        """Have the whole state of a share sent to ``viewer``."""
        self._invoke(DeliveryTask("replay", share_id, [(viewer.connection_id, viewer.protocol, viewer.ticket)]))

    def push(self, share_id: ShareId, seq: int, viewers: Sequence[Viewer]) -> None:
        """Have the record that begins with ``seq`` sent to many viewers, by several parallel invocations."""
        targets = [(viewer.connection_id, viewer.protocol, viewer.ticket) for viewer in viewers]
        chunks = [targets[start : start + VIEWERS_PER_PUSH] for start in range(0, len(targets), VIEWERS_PER_PUSH)]
        parallel_map(self._invoke, [DeliveryTask("push", share_id, chunk, seq) for chunk in chunks])

    def rescan(self, share_id: ShareId) -> None:
        """Have a share searched for secrets by the present rules."""
        self._invoke(DeliveryTask("rescan", share_id))

    def purge(self, share_id: ShareId, round_: int = 1, delay_seconds: int = 0) -> None:
        """Have everything of a share removed, or its removal verified."""
        self._request(PurgeRequest(share_id, round_), delay_seconds)

    def purge_workspace(self, workspace_id: WorkspaceId) -> None:
        """Have all shares of a workspace removed."""
        self._request(PurgeRequest(workspace_id=workspace_id))

    def _request(self, request: PurgeRequest, delay_seconds: int = 0) -> None:
        aws.sqs().send_message(self._purge_queue, msgspec.json.encode(request).decode(), delay_seconds=delay_seconds)

    def _invoke(self, delivery: DeliveryTask) -> None:
        aws.lambda_().invoke_later(self._deliver_function, msgspec.json.encode(delivery))
