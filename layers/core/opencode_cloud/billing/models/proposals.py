"""Adjustments that wait for a second operator."""

from __future__ import annotations

from datetime import datetime

import msgspec

from opencode_cloud.contracts.ids import LedgerTransactionId, WorkspaceId


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An adjustment above the limit of one operator."""

    id: str
    workspace_id: WorkspaceId
    amount: int
    """Micro-cents that are added to the balance; negative: taken from it."""
    idempotency_key: str
    """The operator's key, unique in the workspace. The adjustment is booked under it."""
    reason: str
    corrects: LedgerTransactionId
    proposed_by: str
    proposed_at: datetime
    approved_by: str = ""
    transaction_id: LedgerTransactionId = LedgerTransactionId("")
