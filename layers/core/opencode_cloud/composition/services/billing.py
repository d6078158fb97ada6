"""Builds the services of billing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_cloud.billing.service.booking import Booking
from opencode_cloud.billing.service.credits import Credits
from opencode_cloud.billing.service.payments import Payments
from opencode_cloud.billing.service.settling import UsageSettlement
from opencode_cloud.billing.store.ledger import LedgerStore
from opencode_cloud.billing.store.payments import PaymentStore
from opencode_cloud.billing.store.proposals import ProposalStore
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.store.budgets import BudgetStore

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox


@dataclass(frozen=True, slots=True)
class BillingServices:
    """The services of billing."""

    settlement: UsageSettlement
    payments: Payments
    credits: Credits

    @classmethod
    def over(cls, database: Database, outbox: Outbox, audit: AuditTrail) -> BillingServices:
        """Build the services over a database."""
        store = LedgerStore()
        booking = Booking(outbox, store, Balance(database, outbox, audit, BudgetStore()))
        return cls(
            settlement=UsageSettlement(booking, store),
            payments=Payments(booking, PaymentStore()),
            credits=Credits(booking, store, ProposalStore(), audit),
        )
