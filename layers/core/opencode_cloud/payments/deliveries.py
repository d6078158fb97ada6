"""Invocations of the function ``payments`` without a request: its queue, its schedule, and operators' replays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import RefundOrderId, SecondSubscriptionId, WorkspaceId
from opencode_cloud.kit.batches import PartialBatch

if TYPE_CHECKING:
    from opencode_cloud.payments.service.plan_following import PlanFollowing
    from opencode_cloud.payments.service.receiving import Receiving
    from opencode_cloud.payments.service.refunding import Refunding
    from opencode_cloud.payments.service.reloading import Reloading
    from opencode_cloud.payments.service.second_subscriptions import SecondSubscriptions


class ReloadMessage(msgspec.Struct, frozen=True):
    """A message of the queue ``reloads``: a workspace to reload or to count, an order, or a second subscription."""

    workspace: WorkspaceId | None = None
    refund: RefundOrderId | None = None
    seats: WorkspaceId | None = None
    second: SecondSubscriptionId | None = None


class ReloadDeliveries:
    """Charges, pays back, sends seats and cancels. A message without an answer is delivered again."""

    def __init__(
        self, reloading: Reloading, refunding: Refunding, following: PlanFollowing, seconds: SecondSubscriptions
    ) -> None:
        self._reloading = reloading
        self._refunding = refunding
        self._following = following
        self._seconds = seconds
        self._batch = PartialBatch(ReloadMessage, self._process)

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Handle a batch; return the messages that the queue must deliver again."""
        return self._batch.handle(event)

    def _process(self, message: ReloadMessage) -> None:
        if message.workspace is not None:
            self._reloading.run(message.workspace)
        if message.refund is not None:
            self._refunding.run(message.refund)
        if message.seats is not None:
            self._following.set_seats(message.seats)
        if message.second is not None:
            self._seconds.run(message.second)


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
