"""Second paid starts of plans in MySQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select, update

from opencode_cloud.contracts.ids import SecondSubscriptionId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.payments.models.plans import SecondSubscription
from opencode_cloud.schema.payments import second_subscriptions

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_column = second_subscriptions.c


class SecondSubscriptionStore:
    """The table ``second_subscriptions``."""

    def add(self, connection: Connection, second: SecondSubscription) -> None:
        """Write a second subscription."""
        connection.execute(second_subscriptions.insert(), msgspec.structs.asdict(second))

    def get(self, connection: Connection, second_id: SecondSubscriptionId) -> SecondSubscription | None:
        """Return a second subscription; None if there is none."""
        row = connection.execute(select(second_subscriptions).where(_column.id == second_id)).mappings().first()
        return _second(row) if row else None

    def of_subscription(self, connection: Connection, subscription_id: str) -> SecondSubscription | None:
        """Return the row of a subscription at Stripe; None if it is no second one."""
        query = select(second_subscriptions).where(_column.subscription_id == subscription_id)
        row = connection.execute(query).mappings().first()
        return _second(row) if row else None

    def end(self, connection: Connection, second_id: SecondSubscriptionId) -> None:
        """Record that one is canceled and paid back."""
        now = utc_now()
        connection.execute(
            update(second_subscriptions)
            .where(_column.id == second_id, _column.ended_at.is_(None))
            .values(ended_at=now, updated_at=now)
        )

    def defer(self, connection: Connection, second_id: SecondSubscriptionId) -> None:
        """Put one behind the others that wait, so that those that stay long keep no other one from its end."""
        connection.execute(update(second_subscriptions).where(_column.id == second_id).values(updated_at=utc_now()))

    def waiting(self, connection: Connection, before: datetime, limit: int) -> list[SecondSubscription]:
        """Return those from before a time that are not yet canceled and paid back, the oldest first."""
        query = select(second_subscriptions).where(_column.ended_at.is_(None), _column.updated_at <= before)
        found = connection.execute(query.order_by(_column.updated_at).limit(limit)).mappings()
        return [_second(row) for row in found]


def _second(row: Mapping[Any, Any]) -> SecondSubscription:
    values: dict[str, Any] = {name: row[name] for name in SecondSubscription.__struct_fields__}
    return msgspec.convert(values, SecondSubscription)
