"""Charge usage: events of a batch become one transaction for each workspace and day (docs/decisions/032)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from opencode_cloud.billing.models.accounts import USD, AccountKind, account_id, house
from opencode_cloud.billing.models.transactions import Cause, CauseKind, Layer, TransactionDraft, TransactionKind
from opencode_cloud.billing.service.double_entry import Accounts
from opencode_cloud.billing.service.drafts import draft
from opencode_cloud.billing.service.lots import PromotionalCredit
from opencode_cloud.budgets.service.reservations import LATE
from opencode_cloud.contracts.ids import LedgerAccountId, LedgerTransactionId, WorkspaceId
from opencode_cloud.contracts.usage import SettledEvent


class UsageCharge(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a usage event that concerns money."""

    event_id: str
    workspace_id: WorkspaceId
    at: datetime
    """Arrival of the call: naive UTC."""
    amount: int
    """Micro-cents."""
    counted: bool
    """True if the gateway settled the call on the balance's counter."""

    @property
    def call_id(self) -> str:
        """Return the id of the call; a late event is the second one of its call."""
        return self.event_id.removesuffix(LATE)

    @property
    def is_late(self) -> bool:
        """Return whether the call was counted as lost before."""
        return self.event_id != self.call_id


class ChargeDraft(msgspec.Struct, frozen=True):
    """A transaction of usage, and the events that it charges."""

    transaction: TransactionDraft
    charges: tuple[UsageCharge, ...]


def charges_of(events: Iterable[SettledEvent], counters: Mapping[WorkspaceId, str]) -> list[UsageCharge]:
    """Return the charges of events that cost the workspace something.

    Args:
        events: Settled events.
        counters: The key of the balance's counter of each workspace that has one.
    """
    return [
        UsageCharge(
            event_id=each.event.id,
            workspace_id=each.event.workspace_id,
            at=datetime.fromtimestamp(each.event.at // 1000, UTC).replace(
                microsecond=each.event.at % 1000 * 1000, tzinfo=None
            ),
            amount=each.event.charged,
            counted=counters.get(each.event.workspace_id) in each.counters,
        )
        for each in events
        if each.event.charged
    ]


def usage_drafts(
    charges: Sequence[UsageCharge], accounts: Accounts, earlier: Mapping[str, LedgerTransactionId]
) -> list[ChargeDraft]:
    """Return the transactions of charges that were not booked before.

    Promotional credit is used first: what ends first, and only for calls that arrived before its end. Then follows what
    was paid, which may become a debt. A late event gets its own transaction, which names that of its call's first
    event, if that was charged.

    Args:
        charges: The charges, of any workspaces.
        accounts: The locked accounts of these workspaces.
        earlier: The transactions that charged the first events of late ones, by call.
    """
    groups: defaultdict[tuple[str, ...], list[UsageCharge]] = defaultdict(list)
    for charge in sorted(charges, key=lambda each: each.event_id):
        late = charge.event_id if charge.is_late else ""
        groups[charge.workspace_id, f"{charge.at:%Y-%m-%d}", str(charge.counted), late].append(charge)
    promo = {
        workspace_id: PromotionalCredit(each for each in accounts.values() if each.workspace_id == workspace_id)
        for workspace_id in {charge.workspace_id for charge in charges}
    }
    drafts: list[ChargeDraft] = []
    for _, group in sorted(groups.items()):
        legs = _legs(group, promo[group[0].workspace_id])
        corrects = earlier.get(group[0].call_id, LedgerTransactionId("")) if group[0].is_late else None
        drafts.append(ChargeDraft(_transaction(group, legs, corrects), tuple(group)))
    return drafts


def _digest_of(charges: Iterable[UsageCharge]) -> str:
    """Return the SHA-256 of the ids and amounts of charges, which binds them to their transaction's hash."""
    lines = "".join(f"{each.event_id}:{each.amount}\n" for each in sorted(charges, key=lambda each: each.event_id))
    return hashlib.sha256(lines.encode()).hexdigest()


def _legs(group: Sequence[UsageCharge], promo: PromotionalCredit) -> dict[LedgerAccountId, int]:
    """Return what the charges of a transaction take from each account."""
    amount, legs = sum(charge.amount for charge in group), defaultdict[LedgerAccountId, int](int)
    for charge in sorted(group, key=lambda each: (each.at, each.event_id)):
        for account, taken in promo.draw(charge.amount, charge.at).items():
            legs[account] += taken
    legs[account_id(group[0].workspace_id, AccountKind.BALANCE, USD)] = amount - sum(legs.values())
    legs[house(AccountKind.REVENUE, USD)] = -amount
    return legs


def _transaction(
    group: Sequence[UsageCharge], legs: Mapping[LedgerAccountId, int], corrects: LedgerTransactionId | None
) -> TransactionDraft:
    first, digest, amount = group[0], _digest_of(group), sum(charge.amount for charge in group)
    kind = TransactionKind.USAGE if first.counted else TransactionKind.USAGE_UNCOUNTED
    return draft(
        kind,
        first.event_id if corrects is not None else f"{first.workspace_id}:{digest}",
        Cause(CauseKind.CALLS, first.call_id),
        first.workspace_id,
        max(charge.at for charge in group),
        {(account, Layer.POSTED): taken for account, taken in legs.items()},
        {"events": len(group), "digest": digest, "day": f"{first.at:%Y-%m-%d}", "amount": amount},
        corrects or LedgerTransactionId(""),
    )
