"""Payments, the parts of each that were returned, and holds on what may be returned."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import LedgerTransactionId, PaymentId, WorkspaceId


class Purpose(StrEnum):
    """What a payment bought."""

    CREDIT = "credit"
    PLAN = "plan"
    """A plan per seat. Its whole price without tax is a fee, and none of it credit."""


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """An amount of a payment by the accounts that it went to."""

    credit: int
    fee: int = 0
    tax: int = 0

    @property
    def gross(self) -> int:
        """Return the amount that was charged."""
        return self.credit + self.fee + self.tax


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that was credited, and what refunds and disputes have taken back of it, frozen amounts included."""

    id: PaymentId
    workspace_id: WorkspaceId
    currency: str
    transaction_id: LedgerTransactionId
    paid: Shares
    returned: Shares = Shares(credit=0)
    purpose: Purpose = Purpose.CREDIT


class HoldState(StrEnum):
    """The state of a pending transfer. It ends once."""

    PENDING = "pending"
    POSTED = "posted"
    VOIDED = "voided"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A pending transfer: the frozen shares of a payment."""

    id: str
    """``refund:`` or ``dispute:``, and the id of Stripe."""
    payment_id: PaymentId
    transaction_id: LedgerTransactionId
    workspace_id: WorkspaceId
    currency: str
    shares: Shares
    state: HoldState = HoldState.PENDING
    ended_by: LedgerTransactionId = LedgerTransactionId("")
