"""Order refunds: in the workspace's name, which an operator approves, or as an operator.

An order is a row and a message in one transaction. The function ``payments`` carries it out, because only that function
speaks to Stripe (:mod:`opencode_cloud.payments.service.refunding`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.audit.service import Recorder
from opencode_cloud.billing.models.errors import payment_not_found, returns_too_much
from opencode_cloud.billing.service.credits import ALONE
from opencode_cloud.contracts.actor import ActorKind
from opencode_cloud.contracts.ids import PaymentId, RefundOrderId, WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.money import CENT, shown
from opencode_cloud.payments.models.refunds import (
    RefundOrder,
    RefundState,
    invalid_refund,
    refund_key_reused,
    refund_not_proposed,
    refund_order_not_found,
    refund_second_person,
)

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.billing.models.payments import Payment
    from opencode_cloud.billing.service.payments import Payments
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.payments.store.refunds import RefundStore

MOST_SHOWN = 100
COUNTED = timedelta(hours=24)
"""Time within which the orders of an operator for a workspace count together."""


class RefundOrders:
    """Rules of orders. Amounts are micro-cents, gross: with the share of the fee."""

    def __init__(self, outbox: Outbox, audit: AuditTrail, payments: Payments, store: RefundStore) -> None:
        self._outbox = outbox
        self._payments = payments
        self._store = store
        self._audit = Recorder[RefundOrder](audit, "refund", lambda each: each.id, lambda each: shown(each.amount))

    def order(
        self,
        actor: Actor,
        payment_id: PaymentId,
        amount: int | None,
        reason: str,
        key: str,
        workspace_id: WorkspaceId | None = None,
    ) -> RefundOrder:
        """Order a refund of ``amount``, once for each idempotency ``key`` of the payment; None: all that is left.

        An operator orders up to ``ALONE`` of a workspace within 24 hours. An order beyond that waits for a second
        operator, and one of a person for an operator.

        Args:
            actor: An operator, or a person of the workspace.
            payment_id: The payment.
            amount: In whole cents.
            reason: For the audit trail.
            key: The caller's idempotency key.
            workspace_id: The workspace that must own the payment; None: any.

        Raises:
            payment_not_found: (404) The payment was not credited, or to another workspace.
            payment_disputed: (409) A dispute has withdrawn the money already.
            idempotency_key_reused: (409) Another amount was ordered under the key.
            returns_too_much: (422) The orders and returns would exceed the payment.
            invalid_refund: (422) The amount is not positive, or not in whole cents.
        """
        if amount is not None and (amount <= 0 or amount % CENT):
            raise invalid_refund()
        with self._outbox.unit() as unit:
            # One order at a time, and no booking beside it, looks at what is left of the payment.
            payment = self._payments.locked(unit, payment_id)
            if workspace_id not in (None, payment.workspace_id):
                raise payment_not_found(payment_id)
            if known := self._store.of_key(unit.connection, payment_id, key):
                if known.asked != (amount or 0):
                    raise refund_key_reused(key)
                return known
            left = self._left(unit, payment)
            gross = left if amount is None else amount
            if not 0 < gross <= left:
                raise returns_too_much(payment_id)
            may_alone = self._may_alone(unit, actor, payment.workspace_id, gross)
            order = _new(actor, payment, gross, reason, key, RefundState.ORDERED if may_alone else RefundState.PROPOSED)
            return self._add(unit, actor, msgspec.structs.replace(order, asked=amount or 0))

    def _may_alone(self, unit: UnitOfWork, actor: Actor, workspace_id: WorkspaceId, gross: int) -> bool:
        """Tell whether an order needs no second person. Parts of an amount count together, so they escape no limit."""
        if actor.kind is not ActorKind.OPERATOR:
            return False
        return self._store.alone(unit.connection, workspace_id, actor.name, utc_now() - COUNTED) + gross <= ALONE

    def pay_back(
        self, unit: UnitOfWork, actor: Actor, payment_id: PaymentId, reason: str, keys: Iterable[str]
    ) -> RefundOrder | None:
        """Order all that is left of a payment, in the caller's unit. No person approves it, because a rule asks for it.

        The next one of ``keys`` is used only after Stripe has refused the order of the one before. Returns None if
        nothing is left, or if an order exists. Raises ``payment_not_found`` (404) or ``payment_disputed`` (409).
        """
        payment = self._payments.locked(unit, payment_id)
        left = self._left(unit, payment)
        for key in keys if left > 0 else ():
            known = self._store.of_key(unit.connection, payment_id, key)
            if known is None:
                return self._add(unit, actor, _new(actor, payment, left, reason, key, RefundState.ORDERED))
            if known.state is not RefundState.REFUSED:
                return None
        return None

    def _add(self, unit: UnitOfWork, actor: Actor, order: RefundOrder) -> RefundOrder:
        """Write an order. One that waits for no person is sent to Stripe."""
        is_ordered = order.state is RefundState.ORDERED
        self._store.add(unit.connection, order)
        if is_ordered:
            unit.emit(Topic.REFUND, order.id)
        self._record(unit, actor, "refund.ordered" if is_ordered else "refund.proposed", order, order.reason)
        return order

    def approve(self, actor: Actor, order_id: RefundOrderId) -> RefundOrder:
        """Carry out a proposal of somebody else.

        Raises ``refund_order_not_found`` (404), ``refund_not_proposed`` (409), ``second_person`` (409), and what
        :meth:`order` raises for a payment of which too little is left meanwhile.
        """
        with self._outbox.unit() as unit:
            order = self._get(unit, order_id)
            payment = self._payments.locked(unit, order.payment_id)
            # Read under the lock of the payment's workspace, which every order takes first.
            order = self._get(unit, order_id)
            if order.state is not RefundState.PROPOSED:
                raise refund_not_proposed(order.state)
            if order.requested_by == actor.name:
                raise refund_second_person()
            if order.amount > self._left(unit, payment):
                raise returns_too_much(order.payment_id)
            self._store.change(unit.connection, order_id, state=RefundState.ORDERED, decided_by=actor.name)
            unit.emit(Topic.REFUND, order_id)
            self._record(unit, actor, "refund.approved", order, order.reason)
            return msgspec.structs.replace(order, state=RefundState.ORDERED, decided_by=actor.name)

    def reject(self, actor: Actor, order_id: RefundOrderId, reason: str) -> RefundOrder:
        """End a proposal. Raises ``refund_order_not_found`` (404) or ``refund_not_proposed`` (409)."""
        with self._outbox.unit() as unit:
            self._payments.locked(unit, self._get(unit, order_id).payment_id)
            order = self._get(unit, order_id)
            if order.state is not RefundState.PROPOSED:
                raise refund_not_proposed(order.state)
            self._store.change(unit.connection, order_id, state=RefundState.REJECTED, decided_by=actor.name)
            self._record(unit, actor, "refund.rejected", order, reason)
            return msgspec.structs.replace(order, state=RefundState.REJECTED, decided_by=actor.name)

    def proposed(self) -> list[RefundOrder]:
        """Return the orders that wait for an operator, the oldest first."""
        with self._outbox.unit() as unit:
            return self._store.in_state(unit.connection, RefundState.PROPOSED, utc_now(), MOST_SHOWN)

    def of_workspace(
        self, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int
    ) -> list[RefundOrder]:
        """Return orders of a workspace, the newest first."""
        with self._outbox.unit() as unit:
            return self._store.of_workspace(unit.connection, workspace_id, before, limit)

    def get(self, workspace_id: WorkspaceId, order_id: RefundOrderId) -> RefundOrder:
        """Return an order of a workspace; raises ``refund_order_not_found`` (404)."""
        with self._outbox.unit() as unit:
            found = self._get(unit, order_id)
        if found.workspace_id != workspace_id:
            raise refund_order_not_found()
        return found

    def _get(self, unit: UnitOfWork, order_id: RefundOrderId) -> RefundOrder:
        found = self._store.get(unit.connection, order_id)
        if found is None:
            raise refund_order_not_found()
        return found

    def _left(self, unit: UnitOfWork, payment: Payment) -> int:
        """Return what may still be paid back of a payment, without what is ordered already."""
        return payment.paid.gross - payment.returned.gross - self._store.ordered(unit.connection, payment.id)

    def _record(self, unit: UnitOfWork, actor: Actor, action: str, order: RefundOrder, reason: str) -> None:
        after = {"amount": order.amount, "payment": order.payment_id, "reason": reason}
        self._audit(unit, actor, action, order.workspace_id, order, after=after)


def _new(actor: Actor, payment: Payment, amount: int, reason: str, key: str, state: RefundState) -> RefundOrder:
    now = utc_now()
    return RefundOrder(
        id=RefundOrderId(new_id("rfd")),
        workspace_id=payment.workspace_id,
        payment_id=payment.id,
        amount=amount,
        asked=0,
        idempotency_key=key,
        reason=reason,
        state=state,
        requested_by=actor.name,
        created_at=now,
        updated_at=now,
    )
