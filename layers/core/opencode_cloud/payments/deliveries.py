"""Invocations of the function ``payments`` without a request: ticks of the schedule, and operators' replays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opencode_cloud.payments.service.receiving import Receiving


def answer_invocation(receiving: Receiving, event: Mapping[str, Any]) -> dict[str, Any]:
    """Sweep, or process events again: ``{"replay": "kept"}`` all that were kept, ``{"replay": "evt_..."}`` one.

    Raises ``event_not_found`` (404) for an event that Stripe does not know.
    """
    match event.get("replay"):
        case None:
            return {"processed": receiving.sweep()}
        case "kept":
            return {"applied": receiving.replay_kept()}
        case event_id:
            replayed = receiving.replay(event_id)
            return {"state": replayed.state, "reason": replayed.reason}
