"""Builds what orders refunds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.payments.service.refund_orders import RefundOrders
from opencode_cloud.payments.store.refunds import RefundStore

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.billing.service.payments import Payments
    from opencode_cloud.outbox.service import Outbox


def refund_orders_of(outbox: Outbox, audit: AuditTrail, payments: Payments) -> RefundOrders:
    """Build what orders refunds; it never speaks to Stripe."""
    return RefundOrders(outbox, audit, payments, RefundStore())
