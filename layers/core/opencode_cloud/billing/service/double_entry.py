"""Rules of double entry: a transaction sums to zero, and an account's balance is the sum of its entries.

The functions are pure. :mod:`opencode_cloud.billing.service.booking` calls them while the accounts are locked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import MutableMapping

from opencode_cloud.billing.models.accounts import OF_WORKSPACE, LedgerAccount, new_account
from opencode_cloud.billing.models.errors import UnbalancedTransaction
from opencode_cloud.billing.models.transactions import USAGE_KINDS, Layer, LedgerEntry, TransactionDraft
from opencode_cloud.contracts.ids import LedgerAccountId

LARGEST = 9_000_000_000_000_000
"""The largest amount of one entry: below 2^53, so that every JSON parser keeps it exactly. 90 million dollars."""

Accounts = MutableMapping[LedgerAccountId, LedgerAccount]
"""Locked accounts by id. Accounts of the house are in it without sums."""


def check(draft: TransactionDraft) -> None:
    """Check that a draft may become a transaction.

    Raises:
        UnbalancedTransaction: It has fewer than two entries, one of zero, one beyond ``LARGEST``, or entries that do
            not sum to zero in a currency and layer.
    """
    if len(draft.legs) < 2:
        raise UnbalancedTransaction(f"{draft.kind} {draft.key} has fewer than two entries")
    sums: defaultdict[tuple[str, Layer], int] = defaultdict(int)
    for leg in draft.legs:
        if not 0 < abs(leg.amount) <= LARGEST:
            raise UnbalancedTransaction(f"{draft.kind} {draft.key} has an entry of {leg.amount} on {leg.account_id}")
        sums[new_account(leg.account_id).currency, leg.layer] += leg.amount
    if wrong := {place: amount for place, amount in sums.items() if amount}:
        raise UnbalancedTransaction(f"{draft.kind} {draft.key} does not sum to zero: {wrong}")


def apply(accounts: Accounts, draft: TransactionDraft) -> tuple[LedgerEntry, ...]:
    """Post a draft to the locked accounts; return its entries with the balances and versions after each.

    Raises :class:`UnbalancedTransaction`, and ``KeyError`` for an account of a workspace that is not locked.
    """
    check(draft)
    return tuple(
        _post(accounts, draft, number, leg.account_id, leg.amount, leg.layer) for number, leg in enumerate(draft.legs)
    )


def _post(
    accounts: Accounts, draft: TransactionDraft, number: int, account_id: LedgerAccountId, amount: int, layer: Layer
) -> LedgerEntry:
    entry = LedgerEntry(n=number, account_id=account_id, amount=amount, layer=layer)
    if new_account(account_id).kind not in OF_WORKSPACE:
        return entry
    account = accounts[account_id]
    account.version += 1
    if layer is Layer.PENDING:
        account.pending += amount
        after = account.pending
    else:
        account.posted += amount
        after = account.posted
        if draft.kind not in USAGE_KINDS:
            account.credited += amount
    return LedgerEntry(
        n=number,
        account_id=account_id,
        amount=amount,
        layer=layer,
        balance_after=after,
        account_version=account.version,
    )
