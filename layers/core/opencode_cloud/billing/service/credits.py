"""Operators grant credit, adjust balances and reverse transactions. Each command is audited and booked once."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from opencode_cloud.billing.models.accounts import USD
from opencode_cloud.billing.models.errors import (
    credit_ended,
    invalid_amount,
    invalid_end,
    key_reused,
    not_reversible,
    payment_not_found,
    proposal_done,
    proposal_not_found,
    second_person,
    transaction_not_found,
)
from opencode_cloud.billing.models.payments import Payment, Shares
from opencode_cloud.billing.models.proposals import Proposal
from opencode_cloud.billing.models.transactions import LedgerTransaction, TransactionDraft, TransactionKind
from opencode_cloud.billing.service import drafts
from opencode_cloud.billing.service.double_entry import LARGEST
from opencode_cloud.billing.service.lots import PromotionalCredit
from opencode_cloud.billing.service.reading import movement_of
from opencode_cloud.contracts.access import workspace_not_found
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import LedgerTransactionId, PaymentId, WorkspaceId
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.money import DOLLAR

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.billing.service.booking import Booking, LockedBooks
    from opencode_cloud.billing.store.ledger import LedgerStore
    from opencode_cloud.billing.store.payments import PaymentStore
    from opencode_cloud.billing.store.proposals import ProposalStore
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.outbox.service import UnitOfWork

ALONE = 100 * DOLLAR
"""The largest adjustment that one operator may make without a second one."""
_REVERSIBLE = frozenset(
    {
        TransactionKind.GRANT,
        TransactionKind.ADJUSTMENT,
        TransactionKind.USAGE,
        TransactionKind.USAGE_UNCOUNTED,
    }
)
"""Payments have refunds instead of reversals."""


class Credits:
    """Rules of operators' commands. Amounts are micro-cents."""

    def __init__(
        self,
        booking: Booking,
        store: LedgerStore,
        proposals: ProposalStore,
        payments: PaymentStore,
        audit: AuditTrail,
    ) -> None:
        self._booking = booking
        self._payments = payments
        self._store = store
        self._proposals = proposals
        self._audit = audit

    def grant(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        amount: int,
        reason: str,
        key: str,
        ends_at: datetime | None = None,
    ) -> LedgerTransaction:
        """Add promotional credit, once for each idempotency ``key``.

        From ``ends_at`` (naive UTC; None: never) on it cannot be spent. A negative amount takes credit back, in the
        order in which it is used.

        Raises ``invalid_amount`` (422), ``invalid_end`` (422), or ``idempotency_key_reused`` (409) for another amount
        or end under the key.
        """
        _check(amount)
        now = utc_now()
        with self._booking.unit() as unit:
            locked = self._booking.lock(unit, [workspace_id])
            if amount < 0:
                drawn = PromotionalCredit(locked.of(workspace_id)).draw(-amount, now)
                draft = drafts.grant_back(workspace_id, amount, key, now, drawn)
            else:
                draft = drafts.grant(workspace_id, amount, key, now, ends_at)
            # A repetition may come after the end.
            if ends_at is not None and not self._booking.is_booked(unit, draft):
                _check_end(amount, ends_at, now)
            return self._record_booked(unit, actor, locked, draft, "credit.granted", reason)

    def adjust(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        amount: int,
        reason: str,
        key: str,
        corrects: LedgerTransactionId = LedgerTransactionId(""),
    ) -> LedgerTransaction | Proposal:
        """Add to a balance, or take from it, once for each idempotency ``key``.

        Above ``ALONE`` it becomes a proposal for a second operator. A repetition returns the same proposal, and its
        transaction after the approval.

        Raises ``invalid_amount`` (422), ``transaction_not_found`` (404) for an unknown ``corrects``, or
        ``idempotency_key_reused`` (409) for other terms under the key.
        """
        _check(amount)
        with self._booking.unit() as unit:
            if corrects and self._store.transaction(unit.connection, corrects, workspace_id) is None:
                raise transaction_not_found()
            draft = drafts.adjustment(workspace_id, amount, key, utc_now(), corrects)
            # Under this lock, one command at a time decides whether the key is known.
            self._booking.lock(unit, [workspace_id])
            if known := self._proposals.of_key(unit.connection, workspace_id, key):
                if (known.amount, known.corrects) != (amount, corrects):
                    raise key_reused(draft.kind, key)
                return self._store.transaction(unit.connection, known.transaction_id) or known
            if abs(amount) <= ALONE:
                return self._book(unit, actor, draft, "balance.adjusted", reason)
            if self._store.known(unit.connection, [draft]):
                raise key_reused(draft.kind, key)
            proposal = Proposal(
                id=new_id("lpr"),
                workspace_id=workspace_id,
                amount=amount,
                idempotency_key=key,
                reason=reason,
                corrects=corrects,
                proposed_by=actor.name,
                proposed_at=utc_now(),
            )
            self._proposals.add(unit.connection, proposal)
            self._record(unit, actor, "adjustment.proposed", proposal.id, workspace_id, amount, reason)
            return proposal

    def approve(self, actor: Actor, proposal_id: str) -> LedgerTransaction:
        """Carry out the proposal of another operator.

        Raises ``proposal_not_found`` (404), ``second_person`` (409) or ``proposal_done`` (409).
        """
        with self._booking.unit() as unit:
            proposal = self._proposals.lock(unit.connection, proposal_id)
            if proposal is None:
                raise proposal_not_found()
            if proposal.transaction_id:
                raise proposal_done()
            if proposal.proposed_by == actor.name:
                raise second_person()
            draft = drafts.adjustment(
                proposal.workspace_id, proposal.amount, proposal.idempotency_key, utc_now(), proposal.corrects
            )
            booked = self._book(unit, actor, draft, "balance.adjusted", proposal.reason)
            self._proposals.approve(unit.connection, proposal_id, actor.name, booked.id)
            return booked

    def reverse(self, actor: Actor, transaction_id: LedgerTransactionId, reason: str) -> LedgerTransaction:
        """Book the opposite of a grant, an adjustment or usage, which it names. A transaction is reversed once.

        Raises ``transaction_not_found`` (404), ``not_reversible`` (409) for payments and their returns, or
        ``credit_ended`` (409) for a grant whose end has come.
        """
        with self._booking.unit() as unit:
            transaction = self._store.transaction(unit.connection, transaction_id)
            if transaction is None:
                raise transaction_not_found()
            if transaction.kind not in _REVERSIBLE:
                raise not_reversible(transaction.kind)
            ends_at = movement_of(transaction).ends_at
            if ends_at is not None and ends_at <= utc_now():
                raise credit_ended()
            draft = drafts.reversal(transaction, transaction_id, utc_now())
            return self._book(unit, actor, draft, "transaction.reversed", reason)

    def assign(self, actor: Actor, payment_id: PaymentId, workspace_id: WorkspaceId, reason: str) -> LedgerTransaction:
        """Give a payment that has no owner to a workspace, once. All of it becomes credit.

        Raises ``payment_not_found`` (404) for a payment that does not wait for an owner, ``workspace_not_found`` (404),
        or ``idempotency_key_reused`` (409) if it was given to another workspace.
        """
        with self._booking.unit() as unit:
            waiting = self._store.of_key(unit.connection, TransactionKind.SUSPENSE, payment_id)
            if waiting is None:
                raise payment_not_found(payment_id)
            if not self._store.workspace_exists(unit.connection, workspace_id):
                raise workspace_not_found()
            draft = drafts.assignment(payment_id, workspace_id, waiting, utc_now())
            booked = self._book(unit, actor, draft, "payment.assigned", reason)
            if booked.id == draft.id:
                paid = Shares(credit=draft.legs[0].amount)
                payment = Payment(
                    id=payment_id, workspace_id=workspace_id, currency=USD, transaction_id=booked.id, paid=paid
                )
                self._payments.add(unit.connection, payment)
            return booked

    def _book(
        self, unit: UnitOfWork, actor: Actor, draft: TransactionDraft, action: str, reason: str
    ) -> LedgerTransaction:
        locked = self._booking.lock(unit, [draft.workspace_id])
        return self._record_booked(unit, actor, locked, draft, action, reason)

    def _record_booked(
        self,
        unit: UnitOfWork,
        actor: Actor,
        locked: LockedBooks,
        draft: TransactionDraft,
        action: str,
        reason: str,
    ) -> LedgerTransaction:
        (booked,) = self._booking.book(unit, locked, [draft])
        if booked.id == draft.id:
            self._record(unit, actor, action, booked.id, draft.workspace_id, movement_of(booked).amount, reason)
        return booked

    def _record(
        self,
        unit: UnitOfWork,
        actor: Actor,
        action: str,
        target: str,
        workspace_id: WorkspaceId,
        amount: int,
        reason: str,
    ) -> None:
        after: dict[str, Any] = {"amount": amount, "reason": reason}
        self._audit.record(
            unit.connection,
            actor,
            action,
            Target("ledger_transaction", target, money.shown(amount)),
            workspace_id=workspace_id,
            after=after,
        )


def _check_end(amount: int, ends_at: datetime, now: datetime) -> None:
    if amount < 0:
        raise invalid_end("credit that is taken back has no end")
    if ends_at.microsecond or ends_at <= now:
        raise invalid_end("it is a time in the future, in whole seconds")


def _check(amount: int) -> None:
    if not 0 < abs(amount) <= LARGEST:
        raise invalid_amount(f"it must be between $0.00000001 and {money.shown(LARGEST)}")
