"""Refunds and disputes take back credit in proportion to the payment, cumulatively (docs/decisions/034)."""

from __future__ import annotations

from opencode_cloud.billing.models.payments import Payment, Shares


def shares_of(payment: Payment, gross: int) -> Shares:
    """Return the shares of a further return of ``gross``, which is positive.

    The total that was taken is ``credit * returned // gross`` at every moment, so parts in any order end at the same
    sums, and a full return takes exactly what was credited. The fee follows the same rule; the tax takes the rest.
    A dispute after a refund may return more than the payment: the rule goes on beyond it.
    """
    paid, before = payment.paid, payment.returned
    total = before.gross + gross
    if paid.tax:
        fee = paid.fee * total // paid.gross - before.fee
        credit = paid.credit * total // paid.gross - before.credit
    else:
        credit = paid.credit * total // paid.gross - before.credit
        fee = gross - credit
    return Shares(credit=credit, fee=fee, tax=gross - credit - fee)


def added(first: Shares, second: Shares) -> Shares:
    """Return the sum of two amounts by account."""
    return Shares(credit=first.credit + second.credit, fee=first.fee + second.fee, tax=first.tax + second.tax)


def subtracted(first: Shares, second: Shares) -> Shares:
    """Return the difference of two amounts by account."""
    return Shares(credit=first.credit - second.credit, fee=first.fee - second.fee, tax=first.tax - second.tax)
