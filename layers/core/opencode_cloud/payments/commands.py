"""Operators' commands for refunds, a part of ``functions/operate``. The function ``payments`` carries orders out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from opencode_cloud.contracts.ids import PaymentId, RefundOrderId
from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.kit.timestamps import rfc3339
from opencode_cloud.payments.models.refunds import RefundOrder, RefundState

if TYPE_CHECKING:
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.payments.service.refund_orders import RefundOrders

WAITING = "waits for another operator: refunds approve"


class RefundCommand(msgspec.Struct, tag="refunds"):
    """Order refunds, and decide about proposed ones. The action decides which other members are needed."""

    action: Literal["order", "approve", "reject", "list"]
    payment_id: PaymentId = PaymentId("")
    micro_cents: int | None = None
    """The amount to pay back, with the share of the fee; None: all that is left of the payment."""
    reason: Annotated[str, msgspec.Meta(max_length=255)] = ""
    key: Annotated[str, msgspec.Meta(max_length=64)] = ""
    order_id: RefundOrderId = RefundOrderId("")


def execute_refund_command(command: RefundCommand, orders: RefundOrders, actor: Actor) -> Any:
    """Execute a command; return its result for the operator. Raises ``invalid_command`` (400) and errors of rules."""
    match command.action:
        case "order":
            _require(command, "payment_id", "reason", "key")
            return show_refund(
                orders.order(actor, command.payment_id, command.micro_cents, command.reason, command.key)
            )
        case "approve":
            _require(command, "order_id")
            return show_refund(orders.approve(actor, command.order_id))
        case "reject":
            _require(command, "order_id", "reason")
            return show_refund(orders.reject(actor, command.order_id, command.reason))
        case "list":
            return [show_refund(each) for each in orders.proposed()]


def _require(command: RefundCommand, *names: str) -> None:
    if missing := [name for name in names if not getattr(command, name)]:
        raise BadRequest("invalid_command", f"Give {', '.join(missing)} for {command.action}.")


def show_refund(order: RefundOrder) -> dict[str, Any]:
    """Return an order for operators."""
    return {
        "refund": order.id,
        "workspace": order.workspace_id,
        "payment": order.payment_id,
        "micro_cents": order.amount,
        "state": WAITING if order.state is RefundState.PROPOSED else order.state,
        "reason": order.reason,
        "requested_by": order.requested_by,
        "created_at": rfc3339(order.created_at),
    }
