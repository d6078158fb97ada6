"""`/api/v1/workspaces/{workspace}/refunds`: ask for money back, and see what became of it."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from opencode_cloud.contracts.ids import PaymentId, RefundOrderId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.instants import Instant
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.payments.models.refunds import RefundOrder, RefundState

if TYPE_CHECKING:
    from opencode_cloud.payments.service.refund_orders import RefundOrders

TAG = "Payments"
LARGEST = 10**15


class NewRefund(ApiModel):
    """A part of a payment to pay back."""

    payment_id: PaymentId = Field(min_length=1, max_length=255, description="The `payment_id` of a top-up.")
    amount: int | None = Field(
        default=None, ge=1, le=LARGEST, description="In micro-cents, whole cents, with the fee; null: all that is left."
    )
    reason: str = Field(min_length=1, max_length=255)


class RefundOrderView(ApiModel):
    """A refund that was asked for."""

    id: RefundOrderId
    payment_id: PaymentId
    amount: int = Field(description="In micro-cents, with the share of the processing fee.")
    state: RefundState = Field(
        description="`proposed`: it waits for the operator of this deployment. `ordered`: Stripe is asked. "
        "`pending`: the money is on its way, and the credit is frozen. `refused`: Stripe refused it."
    )
    code: str = Field(description="Stripe's code of a refusal; empty without one.")
    reason: str
    created_at: Instant


class RefundRoutes:
    """Routes of refunds."""

    def __init__(self, orders: RefundOrders, gate: Gate) -> None:
        self._orders = orders
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_ = self._gate.add, f"{WORKSPACE}/refunds"
        add(f"GET {all_}", self.list, Permission.BILLING_READ, "List refunds", TAG)
        add(f"POST {all_}", self.create, Permission.BILLING_MANAGE, "Ask for a refund", TAG, HTTPStatus.CREATED)
        add(f"GET {all_}/<refund_id>", self.get, Permission.BILLING_READ, "Read a refund", TAG)

    def list(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[RefundOrderView]]:
        """List the refunds that were asked for here or by the operator, the newest first."""
        before = decode_cursor(cursor, tuple[datetime, str])
        rows = self._orders.of_workspace(workspace_id, before, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.created_at, row.id), _view))

    def create(self, workspace_id: WorkspaceId, body: NewRefund) -> Response[RefundOrderView]:
        """Ask for a part of a payment back. The operator of this deployment decides.

        The balance changes when Stripe has accepted the refund. Send an `Idempotency-Key`, so that a repeated request
        asks once.
        """
        order = self._orders.order(
            self._gate.actor, body.payment_id, body.amount, body.reason, new_id("req"), workspace_id
        )
        return document(_view(order), HTTPStatus.CREATED)

    def get(self, workspace_id: WorkspaceId, refund_id: RefundOrderId) -> Response[RefundOrderView]:
        """Read one refund."""
        return document(_view(self._orders.get(workspace_id, refund_id)))


def _view(order: RefundOrder) -> RefundOrderView:
    return RefundOrderView.model_validate(order)
