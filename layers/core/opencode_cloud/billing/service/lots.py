"""The order in which credit is used: promotional credit that ends first, then promotional credit without an end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from opencode_cloud.billing.models.accounts import AccountKind, LedgerAccount, has_ended
from opencode_cloud.contracts.ids import LedgerAccountId


class PromotionalCredit:
    """The unused promotional credit of one workspace, which drafts draw from one after another."""

    def __init__(self, accounts: Iterable[LedgerAccount]) -> None:
        promo = [account for account in accounts if account.kind is AccountKind.PROMO]
        self._accounts = sorted(promo, key=lambda account: (account.ends_at is None, account.id))
        self._left = {account.id: max(0, account.left - max(0, account.pending)) for account in promo}

    def draw(self, amount: int, at: datetime) -> Mapping[LedgerAccountId, int]:
        """Take up to ``amount`` from the credit that could be spent at a time; return the amounts by account."""
        drawn: defaultdict[LedgerAccountId, int] = defaultdict(int)
        for account in self._accounts:
            taken = 0 if has_ended(account, at) else min(amount, self._left[account.id])
            if taken:
                self._left[account.id] -= taken
                drawn[account.id] = taken
                amount -= taken
        return drawn
