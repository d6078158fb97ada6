"""Proposed adjustments in MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select, update

from opencode_cloud.billing.models.proposals import Proposal
from opencode_cloud.contracts.ids import LedgerTransactionId
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
        if row is None:
            return None
        return msgspec.convert({name: row[name] for name in Proposal.__struct_fields__}, Proposal)

    def approve(self, connection: Connection, proposal_id: str, by: str, booked: LedgerTransactionId) -> None:
        """Record who approved a proposal, and the transaction that carried it out."""
        values = {"approved_by": by, "transaction_id": booked}
        connection.execute(update(ledger_proposals).where(ledger_proposals.c.id == proposal_id).values(values))
