"""Drafts of all transactions but usage. Each function states its entries; none reads or writes anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from opencode_cloud.billing.models.accounts import USD, AccountKind, LedgerAccount, account_id, ending_account, house
from opencode_cloud.billing.models.payments import Hold, Payment, Purpose, Shares
from opencode_cloud.billing.models.transactions import (
    Cause,
    CauseKind,
    Layer,
    LedgerTransaction,
    Leg,
    TransactionDraft,
    TransactionKind,
)
from opencode_cloud.contracts.ids import LedgerAccountId, LedgerTransactionId, PaymentId, WorkspaceId
from opencode_cloud.kit.ids import new_id

_K = AccountKind
_INCOME = {Purpose.CREDIT: _K.FEES_INCOME, Purpose.PLAN: _K.PLAN_INCOME}
"""The account of the fee of a payment."""


def draft(
    kind: TransactionKind,
    key: str,
    cause: Cause,
    workspace_id: WorkspaceId,
    at: datetime,
    legs: Mapping[tuple[LedgerAccountId, Layer], int],
    terms: Mapping[str, str | int],
    corrects: LedgerTransactionId = LedgerTransactionId(""),
) -> TransactionDraft:
    """Return a draft with a new id; legs of zero are left out."""
    return TransactionDraft(
        id=LedgerTransactionId(new_id("ltx")),
        kind=kind,
        key=key,
        cause=cause,
        workspace_id=workspace_id,
        event_at=at,
        legs=tuple(Leg(account, amount, layer) for (account, layer), amount in legs.items() if amount),
        terms=terms,
        corrects=corrects,
    )


def _posted(legs: Mapping[LedgerAccountId, int]) -> dict[tuple[LedgerAccountId, Layer], int]:
    return {(account, Layer.POSTED): amount for account, amount in legs.items()}


def _payment(payment_id: PaymentId) -> Cause:
    return Cause(CauseKind.PAYMENT, payment_id)


def opening(workspace_id: WorkspaceId, granted: int, at: datetime) -> TransactionDraft:
    """Return the grants from the time before the ledger, as the balance that the ledger begins with."""
    legs = {account_id(workspace_id, _K.BALANCE): -granted, house(_K.OPENING): granted}
    cause = Cause(CauseKind.SYSTEM, "opening")
    return draft(TransactionKind.OPENING, workspace_id, cause, workspace_id, at, _posted(legs), {"granted": granted})


def opening_usage(workspace_id: WorkspaceId, charged: int, at: datetime) -> TransactionDraft:
    """Return the usage from the time before the ledger."""
    legs = {account_id(workspace_id, _K.BALANCE): charged, house(_K.OPENING): -charged}
    cause = Cause(CauseKind.SYSTEM, "opening")
    return draft(
        TransactionKind.OPENING_USAGE, workspace_id, cause, workspace_id, at, _posted(legs), {"charged": charged}
    )


def grant(
    workspace_id: WorkspaceId, amount: int, key: str, at: datetime, ends_at: datetime | None = None
) -> TransactionDraft:
    """Return promotional credit, which cannot be spent from ``ends_at`` (whole seconds of naive UTC) on."""
    account = ending_account(workspace_id, ends_at) if ends_at else account_id(workspace_id, _K.PROMO)
    return _grant(workspace_id, {account: -amount}, amount, key, at, ends_at)


def grant_back(
    workspace_id: WorkspaceId, amount: int, key: str, at: datetime, drawn: Mapping[LedgerAccountId, int]
) -> TransactionDraft:
    """Return a negative grant: it takes ``drawn`` from credit with and without an end, and the rest as a debt."""
    rest = -amount - sum(drawn.values())
    promo = account_id(workspace_id, _K.PROMO)
    return _grant(workspace_id, {**drawn, promo: drawn.get(promo, 0) + rest}, amount, key, at, None)


def _grant(
    workspace_id: WorkspaceId,
    legs: Mapping[LedgerAccountId, int],
    amount: int,
    key: str,
    at: datetime,
    ends_at: datetime | None,
) -> TransactionDraft:
    return draft(
        TransactionKind.GRANT,
        f"{workspace_id}:{key}",
        Cause(CauseKind.OPERATOR, key),
        workspace_id,
        at,
        _posted({**legs, house(_K.PROMOTIONS): amount}),
        {"amount": amount, **({"ends_at": ends_at.isoformat()} if ends_at else {})},
    )


def expiry(account: LedgerAccount, ends_at: datetime) -> TransactionDraft:
    """Return the end of promotional credit: its rest goes back to the account that it was granted from."""
    # The number of the account's entries makes the key new when a later reversal gives credit back to it.
    return draft(
        TransactionKind.EXPIRY,
        f"{account.id}:{account.version}",
        Cause(CauseKind.SYSTEM, "expiry"),
        account.workspace_id,
        ends_at,
        _posted({account.id: account.left, house(_K.PROMOTIONS): -account.left}),
        {"amount": account.left},
    )


def top_up(
    workspace_id: WorkspaceId, payment_id: PaymentId, paid: Shares, at: datetime, currency: str = USD
) -> TransactionDraft:
    """Return the credit of a payment: the charge is cleared by Stripe; fee and tax stay outside of the balance."""
    legs = {
        house(_K.STRIPE_CLEARING, currency): paid.gross,
        account_id(workspace_id, _K.BALANCE, currency): -paid.credit,
        house(_K.FEES_INCOME, currency): -paid.fee,
        house(_K.TAX_PAYABLE, currency): -paid.tax,
    }
    terms = {"credit": paid.credit, "fee": paid.fee, "tax": paid.tax, "currency": currency}
    return draft(TransactionKind.TOP_UP, payment_id, _payment(payment_id), workspace_id, at, _posted(legs), terms)


def plan_payment(workspace_id: WorkspaceId, payment_id: PaymentId, paid: Shares, at: datetime) -> TransactionDraft:
    """Return a payment of a plan, whose net is income as soon as it is charged. No balance changes."""
    legs = {
        house(_K.STRIPE_CLEARING): paid.gross,
        house(_K.PLAN_INCOME): -paid.fee,
        house(_K.TAX_PAYABLE): -paid.tax,
    }
    return draft(
        TransactionKind.PLAN_PAYMENT,
        payment_id,
        _payment(payment_id),
        workspace_id,
        at,
        _posted(legs),
        {"gross": paid.gross, "currency": USD, **({"tax": paid.tax} if paid.tax else {})},
    )


def plan_credit(
    workspace_id: WorkspaceId, invoice_id: str, amount: int, ends_at: datetime, at: datetime
) -> TransactionDraft:
    """Return the promotional credit of a paid invoice of a plan, which ends with its period."""
    legs = {ending_account(workspace_id, ends_at): -amount, house(_K.PROMOTIONS): amount}
    return draft(
        TransactionKind.PLAN_CREDIT,
        invoice_id,
        Cause(CauseKind.INVOICE, invoice_id),
        workspace_id,
        at,
        _posted(legs),
        {"amount": amount, "ends_at": ends_at.isoformat()},
    )


def suspense(payment_id: PaymentId, gross: int, at: datetime, currency: str = USD) -> TransactionDraft:
    """Return a payment that belongs to no known workspace."""
    legs = {house(_K.STRIPE_CLEARING, currency): gross, house(_K.SUSPENSE, currency): -gross}
    terms = {"gross": gross, "currency": currency}
    return draft(TransactionKind.SUSPENSE, payment_id, _payment(payment_id), WorkspaceId(""), at, _posted(legs), terms)


def assignment(
    payment_id: PaymentId, workspace_id: WorkspaceId, earlier: LedgerTransaction, at: datetime
) -> TransactionDraft:
    """Return the credit of a payment that had no owner, all of it; it names the transaction that it moves."""
    gross = sum(each.amount for each in earlier.entries if each.amount > 0)
    legs = {house(_K.SUSPENSE): gross, account_id(workspace_id, _K.BALANCE): -gross}
    return draft(
        TransactionKind.ASSIGNMENT,
        payment_id,
        Cause(CauseKind.OPERATOR, payment_id),
        workspace_id,
        at,
        _posted(legs),
        {"gross": gross},
        earlier.id,
    )


def settlement(
    transaction_id: str, payment_id: PaymentId, gross: int, stripe_fee: int, at: datetime, currency: str = USD
) -> TransactionDraft:
    """Return Stripe's balance transaction of a payment: its fee, which the operator bears, and the rest to the bank."""
    legs = {
        house(_K.BANK, currency): gross - stripe_fee,
        house(_K.STRIPE_FEES, currency): stripe_fee,
        house(_K.STRIPE_CLEARING, currency): -gross,
    }
    terms = {"gross": gross, "fee": stripe_fee, "currency": currency}
    return draft(
        TransactionKind.SETTLEMENT, transaction_id, _payment(payment_id), WorkspaceId(""), at, _posted(legs), terms
    )


def _taken(payment: Payment, shares: Shares, against: AccountKind) -> dict[LedgerAccountId, int]:
    return {
        account_id(payment.workspace_id, _K.BALANCE, payment.currency): shares.credit,
        house(_INCOME[payment.purpose], payment.currency): shares.fee,
        house(_K.TAX_PAYABLE, payment.currency): shares.tax,
        house(against, payment.currency): -shares.gross,
    }


def _signed(legs: Mapping[LedgerAccountId, int], layer: Layer, sign: int) -> dict[tuple[LedgerAccountId, Layer], int]:
    return {(account, layer): sign * amount for account, amount in legs.items()}


def refund_pending(payment: Payment, refund_id: str, shares: Shares, at: datetime) -> TransactionDraft:
    """Return the freeze of a refund that has not succeeded yet."""
    legs = _signed(_taken(payment, shares, _K.REFUNDS), Layer.PENDING, 1)
    terms = {"gross": shares.gross, "payment": payment.id}
    return draft(
        TransactionKind.REFUND_PENDING,
        refund_id,
        _payment(payment.id),
        payment.workspace_id,
        at,
        legs,
        terms,
        payment.transaction_id,
    )


def hold_end(payment: Payment, hold: Hold, kind: TransactionKind, at: datetime, *, post: bool) -> TransactionDraft:
    """Return the end of a pending transfer: it is posted, or voided. It names the transfer that it ends."""
    is_dispute = hold.id.startswith("dispute:")
    legs = _signed(_taken(payment, hold.shares, _K.DISPUTES if is_dispute else _K.REFUNDS), Layer.PENDING, -1)
    if post:
        legs |= _signed(_taken(payment, hold.shares, _K.DISPUTES if is_dispute else _K.REFUNDS), Layer.POSTED, 1)
    elif is_dispute:
        legs |= _posted(_withdrawn(payment, -hold.shares.gross))
    terms = {"gross": hold.shares.gross, "payment": payment.id}
    key = hold.id.partition(":")[2]
    return draft(kind, key, _payment(payment.id), payment.workspace_id, at, legs, terms, hold.transaction_id)


def hold_undone(payment: Payment, hold: Hold, kind: TransactionKind, at: datetime) -> TransactionDraft:
    """Return the opposite of a posted refund or dispute: its money is back. It names the transaction that posted it."""
    legs = _signed(_taken(payment, hold.shares, _K.BANK), Layer.POSTED, -1)
    terms = {"gross": hold.shares.gross, "payment": payment.id}
    key = hold.id.partition(":")[2]
    return draft(kind, key, _payment(payment.id), payment.workspace_id, at, legs, terms, hold.ended_by)


def refund_paid(refund_id: str, payment: Payment, gross: int, at: datetime) -> TransactionDraft:
    """Return Stripe's balance transaction of a refund: the money has left."""
    legs = {house(_K.REFUNDS, payment.currency): gross, house(_K.BANK, payment.currency): -gross}
    return draft(
        TransactionKind.REFUND_PAID,
        refund_id,
        _payment(payment.id),
        payment.workspace_id,
        at,
        _posted(legs),
        {"gross": gross, "payment": payment.id},
    )


def _withdrawn(payment: Payment, gross: int) -> dict[LedgerAccountId, int]:
    return {house(_K.DISPUTES, payment.currency): gross, house(_K.BANK, payment.currency): -gross}


def dispute(payment: Payment, dispute_id: str, shares: Shares, at: datetime) -> TransactionDraft:
    """Return the opening of a dispute: Stripe withdraws the amount at once, and the workspace's share is frozen."""
    legs = _posted(_withdrawn(payment, shares.gross))
    legs |= _signed(_taken(payment, shares, _K.DISPUTES), Layer.PENDING, 1)
    terms = {"gross": shares.gross, "payment": payment.id}
    return draft(
        TransactionKind.DISPUTE,
        dispute_id,
        _payment(payment.id),
        payment.workspace_id,
        at,
        legs,
        terms,
        payment.transaction_id,
    )


def adjustment(
    workspace_id: WorkspaceId, amount: int, key: str, at: datetime, corrects: LedgerTransactionId
) -> TransactionDraft:
    """Return an operator's change of a balance: positive amounts add to it."""
    legs = {account_id(workspace_id, _K.BALANCE): -amount, house(_K.WRITE_OFF): amount}
    return draft(
        TransactionKind.ADJUSTMENT,
        f"{workspace_id}:{key}",
        Cause(CauseKind.OPERATOR, key),
        workspace_id,
        at,
        _posted(legs),
        {"amount": amount},
        corrects,
    )


def reversal(transaction: LedgerTransaction, key: str, at: datetime) -> TransactionDraft:
    """Return the opposite of a transaction, which it names. A transaction is reversed once."""
    legs = {(each.account_id, each.layer): -each.amount for each in transaction.entries}
    return draft(
        TransactionKind.REVERSAL,
        transaction.id,
        Cause(CauseKind.OPERATOR, key),
        transaction.workspace_id,
        at,
        legs,
        {},
        transaction.id,
    )
