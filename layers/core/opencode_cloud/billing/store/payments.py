"""Payments and holds in MySQL. Rows are read and changed while the accounts of their workspace are locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select, update

from opencode_cloud.billing.models.payments import Hold, HoldState, Payment, Purpose, Shares
from opencode_cloud.contracts.ids import LedgerTransactionId, PaymentId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.schema.billing import ledger_holds, ledger_payments

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection


class PaymentStore:
    """The tables ``ledger_payments`` and ``ledger_holds``."""

    def get(self, connection: Connection, payment_id: PaymentId) -> Payment | None:
        """Return a payment; None if it was never credited."""
        row = connection.execute(select(ledger_payments).where(ledger_payments.c.id == payment_id)).mappings().first()
        return _payment(row) if row else None

    def of(self, connection: Connection, payment_ids: Sequence[PaymentId]) -> list[Payment]:
        """Return those of some payments that were credited."""
        query = select(ledger_payments).where(ledger_payments.c.id.in_(payment_ids))
        return [_payment(row) for row in connection.execute(query).mappings()]

    def add(self, connection: Connection, payment: Payment) -> None:
        """Write a payment."""
        row = {
            "id": payment.id,
            "workspace_id": payment.workspace_id,
            "currency": payment.currency,
            "transaction_id": payment.transaction_id,
            "purpose": payment.purpose,
            "created_at": utc_now(),
            **_amounts(payment.paid),
        }
        connection.execute(ledger_payments.insert(), row)

    def set_returned(self, connection: Connection, payment_id: PaymentId, returned: Shares) -> None:
        """Set what refunds and disputes have taken back of a payment, frozen amounts included."""
        values = {
            "returned": returned.gross,
            "credit_returned": returned.credit,
            "fee_returned": returned.fee,
            "tax_returned": returned.tax,
        }
        connection.execute(update(ledger_payments).where(ledger_payments.c.id == payment_id).values(values))

    def hold(self, connection: Connection, hold_id: str) -> Hold | None:
        """Return a hold; None if there is none with this id."""
        row = connection.execute(select(ledger_holds).where(ledger_holds.c.id == hold_id)).mappings().first()
        return _hold(row) if row else None

    def holds(self, connection: Connection, payment_id: PaymentId) -> list[Hold]:
        """Return the holds of a payment."""
        rows = connection.execute(select(ledger_holds).where(ledger_holds.c.payment_id == payment_id)).mappings()
        return [_hold(row) for row in rows]

    def add_hold(self, connection: Connection, hold: Hold) -> None:
        """Write a hold."""
        row = msgspec.structs.asdict(hold)
        shares = row.pop("shares")
        connection.execute(ledger_holds.insert(), {**row, **_amounts(shares)})

    def end_hold(self, connection: Connection, hold_id: str, state: HoldState, ended_by: LedgerTransactionId) -> None:
        """Record the end of a hold."""
        changed = update(ledger_holds).where(ledger_holds.c.id == hold_id).values(state=state, ended_by=ended_by)
        connection.execute(changed)


def _amounts(shares: Shares) -> dict[str, int]:
    return {"gross": shares.gross, "credit": shares.credit, "fee": shares.fee, "tax": shares.tax}


def _shares(row: Mapping[Any, Any], suffix: str = "") -> Shares:
    return Shares(credit=row[f"credit{suffix}"], fee=row[f"fee{suffix}"], tax=row[f"tax{suffix}"])


def _payment(row: Mapping[Any, Any]) -> Payment:
    return Payment(
        id=row["id"],
        workspace_id=row["workspace_id"],
        currency=row["currency"],
        transaction_id=row["transaction_id"],
        paid=_shares(row),
        returned=_shares(row, "_returned"),
        purpose=Purpose(row["purpose"]),
    )


def _hold(row: Mapping[Any, Any]) -> Hold:
    return Hold(
        id=row["id"],
        payment_id=row["payment_id"],
        transaction_id=row["transaction_id"],
        workspace_id=row["workspace_id"],
        currency=row["currency"],
        shares=_shares(row),
        state=HoldState(row["state"]),
        ended_by=row["ended_by"],
    )
