"""Invocations of the function ``payments`` without a request: its queue, its schedule, and operators' replays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.batches import PartialBatch

if TYPE_CHECKING:
    from opencode_cloud.payments.service.receiving import Receiving
    from opencode_cloud.payments.service.reloading import Reloading


class ReloadMessage(msgspec.Struct, frozen=True):
    """A message of the queue ``reloads``."""

    workspace: WorkspaceId


class ReloadDeliveries:
    """Charges the workspaces of a batch; a message whose charge got no answer is delivered again."""

    def __init__(self, reloading: Reloading) -> None:
        self._batch = PartialBatch(ReloadMessage, lambda message: reloading.run(message.workspace))

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Handle a batch; return the messages that the queue must deliver again."""
        return self._batch.handle(event)


def answer_invocation(receiving: Receiving, event: Mapping[str, Any]) -> dict[str, Any]:
    """Sweep, or process events again: ``{"replay": "kept"}`` all that were kept, ``{"replay": "evt_..."}`` one.

    ``{"list": "kept"}`` lists those that wait for a person.

    Raises ``event_not_found`` (404) for an event that Stripe does not know.
    """
    if event.get("list") == "kept":
        return {"kept": [msgspec.to_builtins(each) for each in receiving.kept()]}
    match event.get("replay"):
        case None:
            return {"processed": receiving.sweep()}
        case "kept":
            return {"applied": receiving.replay_kept()}
        case event_id:
            replayed = receiving.replay(event_id)
            return {"state": replayed.state, "reason": replayed.reason}
