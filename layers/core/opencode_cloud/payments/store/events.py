"""Events of Stripe in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from opencode_cloud.kit.clock import utc_now
from opencode_cloud.payments.models import AppliedBy, EventHead, EventState, Result, StripeEvent
from opencode_cloud.schema.payments import stripe_events

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_HEAD = ("id", "type", "object_id", "live", "created_at")


class EventStore:
    """The table ``stripe_events``."""

    def get(self, connection: Connection, event_id: str) -> StripeEvent | None:
        """Return a processed event; None if it never came."""
        row = connection.execute(select(stripe_events).where(stripe_events.c.id == event_id)).mappings().first()
        return _event(row) if row else None

    def known(self, connection: Connection, event_ids: Sequence[str]) -> set[str]:
        """Return which of some events were processed."""
        query = select(stripe_events.c.id).where(stripe_events.c.id.in_(event_ids))
        return set(connection.execute(query).scalars())

    def take(self, connection: Connection, head: EventHead, applied_by: AppliedBy) -> EventState | None:
        """Lock the row of an event, which is written if it is new; return its state, None for a new one.

        A concurrent delivery of the event waits here for the end of the first.
        """
        row = {name: getattr(head, name) for name in _HEAD} | {
            "state": EventState.KEPT,
            "applied_by": applied_by,
            "updated_at": utc_now(),
        }
        made = connection.execute(stripe_events.insert().prefix_with("IGNORE"), row)
        if made.rowcount:
            return None
        query = select(stripe_events.c.state).where(stripe_events.c.id == head.id).with_for_update()
        return EventState(connection.execute(query).scalar_one())

    def finish(self, connection: Connection, event_id: str, result: Result, applied_by: AppliedBy) -> None:
        """Record the result of an event."""
        values = {
            "state": result.state,
            "reason": result.reason,
            "applied_by": applied_by,
            "updated_at": utc_now(),
        }
        connection.execute(update(stripe_events).where(stripe_events.c.id == event_id).values(values))

    def kept(self, connection: Connection, limit: int) -> list[StripeEvent]:
        """Return events that wait for a replay, the oldest first."""
        query = select(stripe_events).where(stripe_events.c.state == EventState.KEPT)
        found = connection.execute(query.order_by(stripe_events.c.created_at).limit(limit)).mappings()
        return [_event(row) for row in found]


def _event(row: Mapping[Any, Any]) -> StripeEvent:
    return StripeEvent(
        head=EventHead(**{name: row[name] for name in _HEAD}),
        state=EventState(row["state"]),
        reason=row["reason"],
        applied_by=AppliedBy(row["applied_by"]),
    )
