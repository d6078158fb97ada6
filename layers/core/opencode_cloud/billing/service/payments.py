"""Book what happens to payments: credit, refunds, disputes, and Stripe's own transactions.

Each method takes a unit, so that a webhook commits its event and the effect together. Each may be called any number of
times with the same ids, in any process: the effect is booked once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from opencode_cloud.billing.models.accounts import USD
from opencode_cloud.billing.models.errors import (
    currency_mismatch,
    hold_ended,
    hold_not_found,
    invalid_amount,
    payment_disputed,
    payment_exists,
    payment_not_found,
)
from opencode_cloud.billing.models.payments import Hold, HoldState, Payment, Purpose, Shares
from opencode_cloud.billing.models.transactions import LedgerTransaction, TransactionDraft, TransactionKind
from opencode_cloud.billing.service import drafts
from opencode_cloud.billing.service.returning import added, shares_of, subtracted
from opencode_cloud.contracts.ids import PaymentId, WorkspaceId

if TYPE_CHECKING:
    from opencode_cloud.billing.service.booking import Booking, LockedBooks
    from opencode_cloud.billing.store.payments import PaymentStore
    from opencode_cloud.outbox.service import UnitOfWork


class Payments:
    """Rules of payments. Amounts are micro-cents."""

    def __init__(self, booking: Booking, store: PaymentStore) -> None:
        self._booking = booking
        self._store = store

    def top_up(
        self,
        unit: UnitOfWork,
        workspace_id: WorkspaceId,
        payment_id: PaymentId,
        paid: Shares,
        at: datetime,
        currency: str = USD,
    ) -> LedgerTransaction:
        """Credit a payment to a workspace, once for each payment, whichever of its events come.

        Raises:
            currency_mismatch: (422) The payment is in another currency than the ledger.
            invalid_amount: (422) The credit is not positive, or fee or tax is negative.
            payment_exists: (409) The payment was credited with other amounts, or to another workspace.
        """
        if currency != USD:
            raise currency_mismatch(USD, currency)
        if paid.credit <= 0 or min(paid.fee, paid.tax) < 0:
            raise invalid_amount("a top-up has a positive credit, and no negative fee or tax")
        locked = self._booking.lock(unit, [workspace_id])
        known = self._store.get(unit.connection, payment_id)
        if known is not None and (known.workspace_id, known.paid) != (workspace_id, paid):
            raise payment_exists(payment_id)
        (booked,) = self._booking.book(unit, locked, [drafts.top_up(workspace_id, payment_id, paid, at)])
        if known is None:
            payment = Payment(
                id=payment_id, workspace_id=workspace_id, currency=currency, transaction_id=booked.id, paid=paid
            )
            self._store.add(unit.connection, payment)
        return booked

    def plan_payment(
        self,
        unit: UnitOfWork,
        workspace_id: WorkspaceId,
        payment_id: PaymentId,
        gross: int,
        at: datetime,
        currency: str = USD,
        tax: int = 0,
    ) -> LedgerTransaction:
        """Book a payment of a plan, once for each payment. It is income without its tax, and no balance changes.

        Raises ``currency_mismatch`` (422), ``invalid_amount`` (422), or ``payment_exists`` (409) for another amount,
        tax, workspace or purpose.
        """
        if currency != USD:
            raise currency_mismatch(USD, currency)
        if gross <= 0 or not 0 <= tax <= gross:
            raise invalid_amount("a payment of a plan is positive, and its tax is a part of it")
        locked, paid = self._booking.lock(unit, [workspace_id]), Shares(credit=0, fee=gross - tax, tax=tax)
        known = self._store.get(unit.connection, payment_id)
        same = (workspace_id, paid, Purpose.PLAN)
        if known is not None and (known.workspace_id, known.paid, known.purpose) != same:
            raise payment_exists(payment_id)
        (booked,) = self._booking.book(unit, locked, [drafts.plan_payment(workspace_id, payment_id, paid, at)])
        if known is None:
            payment = Payment(
                id=payment_id,
                workspace_id=workspace_id,
                currency=currency,
                transaction_id=booked.id,
                paid=paid,
                purpose=Purpose.PLAN,
            )
            self._store.add(unit.connection, payment)
        return booked

    def plan_credit(
        self, unit: UnitOfWork, workspace_id: WorkspaceId, invoice_id: str, amount: int, ends_at: datetime, at: datetime
    ) -> LedgerTransaction:
        """Grant the promotional credit of a paid invoice, once. From ``ends_at`` (naive UTC) on it is lost."""
        locked = self._booking.lock(unit, [workspace_id])
        draft = drafts.plan_credit(workspace_id, invoice_id, amount, ends_at, at)
        (booked,) = self._booking.book(unit, locked, [draft])
        return booked

    def suspend(
        self, unit: UnitOfWork, payment_id: PaymentId, gross: int, at: datetime, currency: str = USD
    ) -> LedgerTransaction:
        """Book a payment that belongs to no known workspace to the account ``suspense``.

        Raises ``currency_mismatch`` (422) for another currency than the ledger's.
        """
        if currency != USD:
            raise currency_mismatch(USD, currency)
        (booked,) = self._booking.book(unit, self._booking.lock(unit, []), [drafts.suspense(payment_id, gross, at)])
        return booked

    def settle(
        self, unit: UnitOfWork, transaction_id: str, payment_id: PaymentId, gross: int, stripe_fee: int, at: datetime
    ) -> LedgerTransaction:
        """Book Stripe's balance transaction of a charge: the operator bears its fee."""
        draft = drafts.settlement(transaction_id, payment_id, gross, stripe_fee, at)
        (booked,) = self._booking.book(unit, self._booking.lock(unit, []), [draft])
        return booked

    def dispute_fee(
        self, unit: UnitOfWork, transaction_id: str, payment_id: PaymentId, fee: int, at: datetime
    ) -> LedgerTransaction:
        """Book Stripe's fee of a dispute, which the operator bears. A fee that is given back is negative.

        No amount is cleared with it: the withdrawal itself is a part of :meth:`dispute`.
        """
        return self.settle(unit, transaction_id, payment_id, 0, fee, at)

    def refund_paid(
        self, unit: UnitOfWork, refund_id: str, payment_id: PaymentId, gross: int, at: datetime
    ) -> LedgerTransaction:
        """Book Stripe's balance transaction of a refund: the money has left."""
        payment = self._payment(unit, payment_id)
        draft = drafts.refund_paid(refund_id, payment, gross, at)
        (booked,) = self._booking.book(unit, self._booking.lock(unit, []), [draft])
        return booked

    def is_known(self, unit: UnitOfWork, payment_id: PaymentId) -> bool:
        """Tell whether a payment was credited to a workspace."""
        return self._store.get(unit.connection, payment_id) is not None

    def is_back(self, unit: UnitOfWork, payment_id: PaymentId) -> bool:
        """Tell whether refunds and disputes have taken all of a payment back, amounts on their way included.

        Raises ``payment_not_found`` (404).
        """
        payment = self._payment(unit, payment_id)
        return payment.returned.gross >= payment.paid.gross

    def of(self, payment_ids: Sequence[PaymentId]) -> Mapping[PaymentId, Payment]:
        """Return those of some payments that were credited, with what was taken back of each."""
        with self._booking.unit() as unit:
            return {each.id: each for each in self._store.of(unit.connection, payment_ids)}

    # ------------------------------------------------------------------------------------- refunds

    def locked(self, unit: UnitOfWork, payment_id: PaymentId) -> Payment:
        """Lock the accounts of a payment's workspace, and return the payment with what was taken back of it.

        Raises ``payment_not_found`` (404), or ``payment_disputed`` (409) during a dispute.
        """
        _, payment = self._locked(unit, payment_id)
        self._check_undisputed(unit, payment_id)
        return payment

    def refund(self, unit: UnitOfWork, payment_id: PaymentId, refund_id: str, gross: int, at: datetime) -> Hold:
        """Freeze the workspace's share of a refund of ``gross``. The gateway's limit shrinks with it.

        The refund exists at Stripe, so it is booked whatever else was returned: :meth:`locked` is for orders. If the
        credit was spent, the balance becomes negative. Raises ``payment_not_found`` (404) for an unknown payment.
        """
        locked, payment = self._locked(unit, payment_id)
        if known := self._same(unit, f"refund:{refund_id}", payment, gross):
            return known
        shares = _shares(payment, gross)
        return self._freeze(
            unit, locked, payment, f"refund:{refund_id}", drafts.refund_pending(payment, refund_id, shares, at), shares
        )

    def refund_succeeded(self, unit: UnitOfWork, refund_id: str, at: datetime) -> None:
        """Post a refund that Stripe has accepted; raises ``hold_not_found`` or ``hold_ended``."""
        self._end(unit, f"refund:{refund_id}", TransactionKind.REFUND, HoldState.POSTED, at)

    def refund_failed(self, unit: UnitOfWork, refund_id: str, at: datetime) -> None:
        """Give back what a failed refund froze or took; raises ``hold_not_found``.

        A bank may send the money of a refund back that had succeeded, up to 30 days later
        (https://docs.stripe.com/refunds#failed-refunds).
        """
        self._end(unit, f"refund:{refund_id}", TransactionKind.REFUND_FAILED, HoldState.VOIDED, at)

    # ------------------------------------------------------------------------------------- disputes

    def dispute(self, unit: UnitOfWork, payment_id: PaymentId, dispute_id: str, gross: int, at: datetime) -> Hold:
        """Freeze the workspace's share of what a dispute withdraws. An inquiry withdraws nothing: do not call this.

        A dispute may withdraw the whole payment after a part was refunded. The debt is frozen too, until the end.
        Raises ``payment_not_found`` (404).
        """
        locked, payment = self._locked(unit, payment_id)
        if known := self._same(unit, f"dispute:{dispute_id}", payment, gross):
            return known
        shares = _shares(payment, gross)
        return self._freeze(
            unit, locked, payment, f"dispute:{dispute_id}", drafts.dispute(payment, dispute_id, shares, at), shares
        )

    def dispute_won(self, unit: UnitOfWork, dispute_id: str, at: datetime) -> None:
        """Give back what a dispute froze, to the micro-cent; raises ``hold_not_found``.

        An appeal may win a dispute that was lost. Then what was taken is given back.
        """
        self._end(unit, f"dispute:{dispute_id}", TransactionKind.DISPUTE_WON, HoldState.VOIDED, at)

    def dispute_lost(self, unit: UnitOfWork, dispute_id: str, at: datetime) -> None:
        """Post what a dispute froze; raises ``hold_not_found`` or ``hold_ended``."""
        self._end(unit, f"dispute:{dispute_id}", TransactionKind.DISPUTE_LOST, HoldState.POSTED, at)

    # ------------------------------------------------------------------------------------- internals

    def _payment(self, unit: UnitOfWork, payment_id: PaymentId) -> Payment:
        payment = self._store.get(unit.connection, payment_id)
        if payment is None:
            raise payment_not_found(payment_id)
        return payment

    def _check_undisputed(self, unit: UnitOfWork, payment_id: PaymentId) -> None:
        holds = self._store.holds(unit.connection, payment_id)
        if any(each.id.startswith("dispute:") and each.state is HoldState.PENDING for each in holds):
            raise payment_disputed(payment_id)

    def _locked(self, unit: UnitOfWork, payment_id: PaymentId) -> tuple[LockedBooks, Payment]:
        """Lock the accounts of a payment's workspace, and return the payment as it is under the lock."""
        locked = self._booking.lock(unit, [self._payment(unit, payment_id).workspace_id])
        return locked, self._payment(unit, payment_id)

    def _same(self, unit: UnitOfWork, hold_id: str, payment: Payment, gross: int) -> Hold | None:
        known = self._store.hold(unit.connection, hold_id)
        if known is not None and (known.payment_id, known.shares.gross) != (payment.id, gross):
            raise hold_ended(hold_id, "booked with another amount")
        return known

    def _freeze(
        self,
        unit: UnitOfWork,
        locked: LockedBooks,
        payment: Payment,
        hold_id: str,
        draft: TransactionDraft,
        shares: Shares,
    ) -> Hold:
        (booked,) = self._booking.book(unit, locked, [draft])
        hold = Hold(
            id=hold_id,
            payment_id=payment.id,
            transaction_id=booked.id,
            workspace_id=payment.workspace_id,
            currency=payment.currency,
            shares=shares,
        )
        self._store.add_hold(unit.connection, hold)
        self._store.set_returned(unit.connection, payment.id, added(payment.returned, shares))
        return hold

    def _end(self, unit: UnitOfWork, hold_id: str, kind: TransactionKind, state: HoldState, at: datetime) -> None:
        """End a pending transfer once. A posted one may be undone later, by a transaction that names the posted one."""
        hold = self._store.hold(unit.connection, hold_id)
        if hold is None:
            raise hold_not_found(hold_id)
        locked, payment = self._locked(unit, hold.payment_id)
        hold = self._store.hold(unit.connection, hold_id) or hold
        if hold.state is state:
            return
        if hold.state is HoldState.VOIDED:
            raise hold_ended(hold_id, hold.state)
        if hold.state is HoldState.PENDING:
            draft = drafts.hold_end(payment, hold, kind, at, post=state is HoldState.POSTED)
        else:
            draft = drafts.hold_undone(payment, hold, kind, at)
        (booked,) = self._booking.book(unit, locked, [draft])
        self._store.end_hold(unit.connection, hold_id, state, booked.id)
        if state is HoldState.VOIDED:
            self._store.set_returned(unit.connection, payment.id, subtracted(payment.returned, hold.shares))


def _shares(payment: Payment, gross: int) -> Shares:
    if gross <= 0:
        raise invalid_amount("a refund or a dispute is positive")
    return shares_of(payment, gross)
