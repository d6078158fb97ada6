"""The menu of a workspace: every page, in order. Functions that serve only some of the pages show it too."""

from __future__ import annotations

from collections.abc import Sequence

from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.permissions import Permission

OVERVIEW = ConsolePage("", "Overview", Permission.WORKSPACE_READ, "overview.html")
USAGE = ConsolePage("/usage", "Usage", Permission.USAGE_OWN, "usage.html", "Activity")
CALLS = ConsolePage("/calls", "Calls", Permission.USAGE_OWN, "calls.html", "Activity")
SHARES = ConsolePage("/shares", "Shares", Permission.SHARE_OWN, "shares.html", "Activity")
AUDIT = ConsolePage("/audit", "Audit", Permission.AUDIT_READ, "audit.html", "Activity")
BUDGETS = ConsolePage("/budgets", "Budgets", Permission.BUDGET_OWN, "budgets.html", "Money")
BILLING = ConsolePage("/billing", "Billing", Permission.BILLING_READ, "billing.html", "Money")
PAYMENTS = ConsolePage("/payments", "Payments", Permission.BILLING_READ, "payments.html", "Money")
MEMBERS = ConsolePage("/members", "Members", Permission.MEMBER_READ, "members.html", "Access")
KEYS = ConsolePage("/keys", "Keys", Permission.KEY_OWN, "keys.html", "Access")
PLAYGROUND = ConsolePage("/playground", "Playground", Permission.INFERENCE, "playground.html", "Models and rules")
PROVIDERS = ConsolePage("/providers", "Providers", Permission.PROVIDER_READ, "providers.html", "Models and rules")
POLICY = ConsolePage("/policy", "Policy", Permission.POLICY_READ, "policy.html", "Models and rules")
CONFIGURATION = ConsolePage(
    "/configuration", "Configuration", Permission.CONFIGURATION_READ, "configuration.html", "Models and rules"
)
SETTINGS = ConsolePage("/settings", "Settings", Permission.WORKSPACE_READ, "settings.html", "Workspace")

PAGES = (
    OVERVIEW,
    USAGE,
    CALLS,
    SHARES,
    AUDIT,
    BUDGETS,
    BILLING,
    PAYMENTS,
    MEMBERS,
    KEYS,
    PLAYGROUND,
    PROVIDERS,
    POLICY,
    CONFIGURATION,
    SETTINGS,
)
"""All pages, in the order of the menu."""


def pages_of(*, billing: bool, sells: bool) -> Sequence[ConsolePage]:
    """Return the pages of a deployment: those of the ledger with ``billing``, those of payments with ``sells``."""
    present = {BILLING: billing, PAYMENTS: sells}
    return [page for page in PAGES if present.get(page, True)]
