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
from opencode_cloud.budgets.service.reservations import LATE
from opencode_cloud.contracts.ids import LedgerTransactionId, WorkspaceId
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

    Promotional credit is used first, then what was paid, which may become a debt. A late event gets its own
    transaction, which names that of its call's first event, if that was charged.

    Args:
        charges: The charges, of any workspaces.
        accounts: The locked accounts of these workspaces.
        earlier: The transactions that charged the first events of late ones, by call.
    """
    groups: defaultdict[tuple[str, ...], list[UsageCharge]] = defaultdict(list)
    for charge in sorted(charges, key=lambda each: each.event_id):
        late = charge.event_id if charge.is_late else ""
        groups[charge.workspace_id, f"{charge.at:%Y-%m-%d}", str(charge.counted), late].append(charge)
    promo = {charge.workspace_id: _left(accounts, charge.workspace_id) for charge in charges}
    drafts: list[ChargeDraft] = []
    for _, group in sorted(groups.items()):
        workspace_id, amount = group[0].workspace_id, sum(charge.amount for charge in group)
        from_promo = min(promo[workspace_id], amount)
        promo[workspace_id] -= from_promo
        corrects = earlier.get(group[0].call_id, LedgerTransactionId("")) if group[0].is_late else None
        drafts.append(ChargeDraft(_transaction(group, amount, from_promo, corrects), tuple(group)))
    return drafts


def _digest_of(charges: Iterable[UsageCharge]) -> str:
    """Return the SHA-256 of the ids and amounts of charges, which binds them to their transaction's hash."""
    lines = "".join(f"{each.event_id}:{each.amount}\n" for each in sorted(charges, key=lambda each: each.event_id))
    return hashlib.sha256(lines.encode()).hexdigest()


def _left(accounts: Accounts, workspace_id: WorkspaceId) -> int:
    promo = accounts[account_id(workspace_id, AccountKind.PROMO)]
    return max(0, -promo.posted - max(0, promo.pending))


def _transaction(
    group: Sequence[UsageCharge], amount: int, from_promo: int, corrects: LedgerTransactionId | None
) -> TransactionDraft:
    first, digest = group[0], _digest_of(group)
    kind = TransactionKind.USAGE if first.counted else TransactionKind.USAGE_UNCOUNTED
    legs = {
        (account_id(first.workspace_id, AccountKind.PROMO, USD), Layer.POSTED): from_promo,
        (account_id(first.workspace_id, AccountKind.BALANCE, USD), Layer.POSTED): amount - from_promo,
        (house(AccountKind.REVENUE, USD), Layer.POSTED): -amount,
    }
    return draft(
        kind,
        first.event_id if corrects is not None else f"{first.workspace_id}:{digest}",
        Cause(CauseKind.CALLS, first.call_id),
        first.workspace_id,
        max(charge.at for charge in group),
        legs,
        {"events": len(group), "digest": digest, "day": f"{first.at:%Y-%m-%d}", "amount": amount},
        corrects or LedgerTransactionId(""),
    )
