"""Proposed adjustments in MySQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select, update

from opencode_cloud.billing.models.proposals import Proposal
from opencode_cloud.contracts.ids import LedgerTransactionId, WorkspaceId
from opencode_cloud.schema.billing import ledger_proposals

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection


class ProposalStore:
    """The table ``ledger_proposals``."""

    def add(self, connection: Connection, proposal: Proposal) -> None:
        """Write a proposal."""
        connection.execute(ledger_proposals.insert(), msgspec.structs.asdict(proposal))

    def lock(self, connection: Connection, proposal_id: str) -> Proposal | None:
        """Lock a proposal and return it; None if there is none."""
        query = select(ledger_proposals).where(ledger_proposals.c.id == proposal_id).with_for_update()
        row = connection.execute(query).mappings().first()
        return _proposal(row) if row else None

    def of_key(self, connection: Connection, workspace_id: WorkspaceId, key: str) -> Proposal | None:
        """Return the proposal of a workspace with an idempotency key; None if there is none."""
        column = ledger_proposals.c
        query = select(ledger_proposals).where(column.workspace_id == workspace_id, column.idempotency_key == key)
        row = connection.execute(query).mappings().first()
        return _proposal(row) if row else None

    def approve(self, connection: Connection, proposal_id: str, by: str, booked: LedgerTransactionId) -> None:
        """Record who approved a proposal, and the transaction that carried it out."""
        values = {"approved_by": by, "transaction_id": booked}
        connection.execute(update(ledger_proposals).where(ledger_proposals.c.id == proposal_id).values(values))


def _proposal(row: Mapping[Any, Any]) -> Proposal:
    return msgspec.convert({name: row[name] for name in Proposal.__struct_fields__}, Proposal)
