"""The function `operate`: commands of operators, whom their AWS credentials authorize (docs/operate.md)."""

from __future__ import annotations

from opencode_cloud.composition.control_plane import ControlPlane, workspaces
from opencode_cloud.composition.services.billing import billing_services, payments_of
from opencode_cloud.composition.services.budgets import budget_services
from opencode_cloud.composition.services.refunds import refund_orders_of
from opencode_cloud.composition.services.usage import UsageResources, UsageServices
from opencode_cloud.composition.settings import (
    BillingEnabled,
    BudgetsTable,
    LedgerKey,
    PublicUrl,
    SigningKeyArns,
    SiteBucket,
    UsageTable,
)
from opencode_cloud.composition.sql_settings import WorkspaceSettings
from opencode_cloud.identity.store.accounts import AccountsStore
from opencode_cloud.identity.store.keys import SigningKeys
from opencode_cloud.kit.lambda_handlers import Handler, frame
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.store import MailStore
from opencode_cloud.operators.service import Operations
from opencode_cloud.policies.service import WellKnown
from opencode_cloud.policies.store import SiteStore


class OperateSettings(WorkspaceSettings):
    """Environment variables of the function."""

    signing_keys: SigningKeyArns
    usage_table: UsageTable
    budgets_table: BudgetsTable
    billing: BillingEnabled = False
    ledger_key: LedgerKey = ""
    site_bucket: SiteBucket
    public_url: PublicUrl = ""


def build(settings: OperateSettings) -> Handler:
    """Return the handler."""
    operations = _operations(settings)
    return frame(lambda event, context: operations.handle(event, context.aws_request_id))


def _operations(settings: OperateSettings) -> Operations:
    plane = ControlPlane(settings)
    resources = UsageResources(usage_table=settings.usage_table, budgets_table=settings.budgets_table)
    budgets = budget_services(plane.database, plane.outbox, plane.deployment_key, settings.budgets_table)
    billing = billing_services(
        plane.database, plane.outbox, plane.audit, enabled=settings.billing, ledger_key=settings.ledger_key
    )
    payments = payments_of(plane.database, plane.outbox, plane.audit)
    settlement = billing.settlement if billing else None
    usage = UsageServices.over(plane.database, plane.outbox, plane.audit, resources, settlement)
    return Operations(
        plane.outbox,
        AccountsStore(),
        workspaces(plane, settings),
        plane.audit,
        Mailer(MailStore(plane.database)),
        plane.projection,
        SigningKeys(settings.signing_keys, settings.sessions_table),
        WellKnown(SiteStore(settings.site_bucket), settings.public_url),
        plane.catalogue_publisher,
        lambda: plane.catalogue_publisher.project(plane.current_catalogue, over=True),
        budgets.balance,
        usage.reconciliation,
        billing,
        refund_orders_of(plane.outbox, plane.audit, payments) if billing else None,
    )
