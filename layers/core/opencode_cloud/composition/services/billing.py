"""Builds the services of billing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.billing.service.booking import Booking
from opencode_cloud.billing.service.checking import BookReconciliation
from opencode_cloud.billing.service.checkpoints import Checkpoints
from opencode_cloud.billing.service.closing import MonthClose
from opencode_cloud.billing.service.coupons import Coupons
from opencode_cloud.billing.service.credits import Credits
from opencode_cloud.billing.service.expiring import Expiries
from opencode_cloud.billing.service.exporting import LedgerExport
from opencode_cloud.billing.service.payments import Payments
from opencode_cloud.billing.service.reading import BillingReader
from opencode_cloud.billing.service.settling import UsageSettlement
from opencode_cloud.billing.services import BillingServices
from opencode_cloud.billing.store.checkpoints import CheckpointStore
from opencode_cloud.billing.store.checks import BookChecks
from opencode_cloud.billing.store.closing import ClosingStore
from opencode_cloud.billing.store.coupons import CouponStore
from opencode_cloud.billing.store.ledger import LedgerStore
from opencode_cloud.billing.store.payments import PaymentStore
from opencode_cloud.billing.store.proposals import ProposalStore
from opencode_cloud.billing.store.reading import LedgerReader
from opencode_cloud.budgets.service.balance import Balance
from opencode_cloud.budgets.store.budgets import BudgetStore
from opencode_cloud.kit.kms_signing import sign_rs256
from opencode_cloud.payments.service.reload_trigger import ReloadTrigger
from opencode_cloud.payments.store.auto_reloads import AutoReloadStore

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.kit.sql import Database
    from opencode_cloud.outbox.service import Outbox


def billing_services(
    database: Database, outbox: Outbox, audit: AuditTrail, *, enabled: bool, ledger_key: str = ""
) -> BillingServices | None:
    """Build the services over a database; None if the deployment keeps no ledger.

    ``ledger_key`` is the ARN of the KMS key that signs checkpoints; functions that make none leave it empty.
    """
    if not enabled:
        return None
    store, closing, checkpoints = LedgerStore(), ClosingStore(), CheckpointStore()
    booking = _booking(database, outbox, audit, store)
    reader = LedgerReader(database, store)

    def sign(message: bytes) -> bytes:
        return sign_rs256(ledger_key, message)

    return BillingServices(
        settlement=UsageSettlement(booking, store),
        credits=Credits(booking, store, ProposalStore(), PaymentStore(), audit),
        coupons=Coupons(booking, CouponStore(), audit),
        expiries=Expiries(booking, reader),
        closing=MonthClose(database, store, closing),
        reconciliation=BookReconciliation(BookChecks(database), reader),
        checkpoints=Checkpoints(database, store, reader, checkpoints, sign, ledger_key),
        export=LedgerExport(database, reader, checkpoints),
        reader=reader_of(database),
        ledger=reader,
    )


def payments_of(database: Database, outbox: Outbox, audit: AuditTrail) -> Payments:
    """Build what books payments and their returns."""
    return Payments(_booking(database, outbox, audit, LedgerStore()), PaymentStore())


def coupons_of(database: Database, outbox: Outbox, audit: AuditTrail, *, enabled: bool = True) -> Coupons:
    """Build what redeems coupons; every redemption is refused if the deployment keeps no ledger."""
    return Coupons(_booking(database, outbox, audit, LedgerStore()), CouponStore(), audit, enabled=enabled)


def reader_of(database: Database, *, enabled: bool = True) -> BillingReader:
    """Build what the routes read with; every read is refused if the deployment keeps no ledger."""
    return BillingReader(database, LedgerReader(database, LedgerStore()), ClosingStore(), enabled=enabled)


def _booking(database: Database, outbox: Outbox, audit: AuditTrail, store: LedgerStore) -> Booking:
    watch = ReloadTrigger(AutoReloadStore()).watch
    return Booking(outbox, store, Balance(database, outbox, audit, BudgetStore()), watch)
