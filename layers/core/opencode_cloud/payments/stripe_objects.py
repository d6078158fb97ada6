"""Parts of Stripe's objects, as far as they matter here. The library does not give a type to all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import PaymentId, PlanId, RefundOrderId, TopUpId
from opencode_cloud.kit.money import CENT
from opencode_cloud.payments.models import CardView, EventHead, RefundView, SessionView, TopUp

TOP_UP = "top_up"
"""Name of our id of a purchase in metadata."""
SEAT_PLAN = "seat_plan"
"""Name of our id of a plan in metadata."""
EXCLUSIVE = "exclusive"
"""Stripe's word for a price that tax is added to."""
REFUND_ORDER = "refund_order"
"""Name of our id of an order in the metadata of a refund."""


class _Object(msgspec.Struct):
    id: str = ""


class _Data(msgspec.Struct):
    object: _Object


class EventBody(msgspec.Struct):
    """An event as it is posted, without its contents."""

    id: str
    type: str
    created: int
    livemode: bool
    data: _Data
    account: str | None = None

    def head(self) -> EventHead:
        """Return what is read of the event."""
        return EventHead(
            id=self.id,
            type=self.type,
            object_id=self.data.object.id,
            live=self.livemode,
            created_at=moment_of(self.created),
            account_id=self.account or "",
        )


def card_of(method: Any) -> CardView:
    """Return a payment method as a person recognises it."""
    card = getattr(method, "card", None)
    if card is None:
        last4 = getattr(getattr(method, method.type, None), "last4", None)
        return CardView(id=method.id, brand=method.type, last4=last4 or "", expires="")
    return CardView(id=method.id, brand=card.brand, last4=card.last4, expires=f"{card.exp_year:04}-{card.exp_month:02}")


def buyer_of(charge: Any) -> tuple[str, ...]:
    """Return the lines of name and address that the payer of a charge gave."""
    details = getattr(charge, "billing_details", None)
    address = getattr(details, "address", None)
    parts = [getattr(details, "name", None), *(getattr(address, name, None) for name in ("line1", "line2"))]
    parts.append(" ".join(filter(None, (getattr(address, name, None) for name in ("postal_code", "city", "state")))))
    return tuple(filter(None, (*parts, getattr(address, "country", None))))


def refund_view(found: Any) -> RefundView:
    """Return the state of a refund."""
    metadata = getattr(found, "metadata", None)
    return RefundView(
        id=found.id,
        status=found.status or "",
        amount=found.amount,
        payment_id=PaymentId(id_of(found.payment_intent)),
        at=moment_of(found.created),
        order_id=RefundOrderId(str(metadata[REFUND_ORDER]) if metadata and REFUND_ORDER in metadata else ""),
    )


def session_view(found: Any) -> SessionView:
    """Return the state of a checkout session."""
    return SessionView(
        id=found.id,
        status=found.status or "",
        payment_id=PaymentId(id_of(found.payment_intent)),
        top_up_id=top_up_of(found.metadata),
        plan_id=plan_of(found.metadata),
        subscription_id=id_of(found.subscription),
        url=found.url or "",
        tax=found.total_details.amount_tax if found.total_details else 0,
    )


def lines_of(top_up: TopUp) -> list[tuple[str, int]]:
    """Return the name and the amount in cents of each line of a purchase."""
    amounts = [("Credit", top_up.credit), ("Processing fee", top_up.fee)]
    return [(name, amount // CENT) for name, amount in amounts if amount]


def line_item(name: str, cents: int, currency: str, *, taxed: bool) -> Any:
    """Return a line of a checkout. Tax comes on top of it, and never out of the credit."""
    price: dict[str, Any] = {"currency": currency.lower(), "unit_amount": cents, "product_data": {"name": name}}
    if taxed:
        price["tax_behavior"] = EXCLUSIVE
    return {"price_data": price, "quantity": 1}


def calculation_of(intent: Any) -> str:
    """Return the calculation of tax that a payment intent names; empty without one."""
    inputs = getattr(getattr(intent, "hooks", None), "inputs", None)
    return str(getattr(getattr(inputs, "tax", None), "calculation", None) or "")


def top_up_of(metadata: Any) -> TopUpId:
    """Return our id of a purchase in metadata; empty for a payment that was not made here."""
    return TopUpId(str(metadata[TOP_UP]) if metadata and TOP_UP in metadata else "")


def plan_of(metadata: Any) -> PlanId:
    """Return our id of a plan in metadata; empty for an object that was not made here."""
    return PlanId(str(metadata[SEAT_PLAN]) if metadata and SEAT_PLAN in metadata else "")


def id_of(found: Any) -> str:
    """Return the id of an object, which may be expanded or missing."""
    return "" if found is None else str(getattr(found, "id", found))


def signed_at(header: str) -> int:
    """Return the time of a signature, in seconds since the epoch."""
    return int(dict(part.split("=", 1) for part in header.split(",") if "=" in part)["t"])


def moment_of(seconds: int) -> datetime:
    """Return a time of Stripe as naive UTC."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def seconds_of(moment: datetime) -> int:
    """Return a naive time of UTC as Stripe writes it."""
    return int(moment.replace(tzinfo=UTC).timestamp())
