"""The menu of a workspace: every page, in order. Functions that serve only some of the pages show it too."""

from __future__ import annotations

from collections.abc import Sequence

from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.kit.marked_messages import gettext_noop

OVERVIEW = ConsolePage("", gettext_noop("Overview"), Permission.WORKSPACE_READ, "overview.html")
USAGE = ConsolePage("/usage", gettext_noop("Usage"), Permission.USAGE_OWN, "usage.html", gettext_noop("Activity"))
EXPORTS = ConsolePage(
    "/usage/exports", gettext_noop("Exports"), Permission.USAGE_READ, "exports.html", gettext_noop("Activity")
)
CALLS = ConsolePage("/calls", gettext_noop("Calls"), Permission.USAGE_OWN, "calls.html", gettext_noop("Activity"))
SHARES = ConsolePage("/shares", gettext_noop("Shares"), Permission.SHARE_OWN, "shares.html", gettext_noop("Activity"))
AUDIT = ConsolePage("/audit", gettext_noop("Audit"), Permission.AUDIT_READ, "audit.html", gettext_noop("Activity"))
BUDGETS = ConsolePage("/budgets", gettext_noop("Budgets"), Permission.BUDGET_OWN, "budgets.html", gettext_noop("Money"))
BILLING = ConsolePage(
    "/billing", gettext_noop("Billing"), Permission.BILLING_READ, "billing.html", gettext_noop("Money")
)
PAYMENTS = ConsolePage(
    "/payments", gettext_noop("Payments"), Permission.BILLING_READ, "payments.html", gettext_noop("Money")
)
MEMBERS = ConsolePage(
    "/members", gettext_noop("Members"), Permission.MEMBER_READ, "members.html", gettext_noop("Access")
)
GROUPS = ConsolePage("/groups", gettext_noop("Groups"), Permission.MEMBER_READ, "groups.html", gettext_noop("Access"))
KEYS = ConsolePage("/keys", gettext_noop("Keys"), Permission.KEY_OWN, "keys.html", gettext_noop("Access"))
PLAYGROUND = ConsolePage(
    "/playground",
    gettext_noop("Playground"),
    Permission.INFERENCE,
    "playground.html",
    gettext_noop("Models and rules"),
)
PROVIDERS = ConsolePage(
    "/providers",
    gettext_noop("Providers"),
    Permission.PROVIDER_READ,
    "providers.html",
    gettext_noop("Models and rules"),
)
POLICY = ConsolePage(
    "/policy", gettext_noop("Policy"), Permission.POLICY_READ, "policy.html", gettext_noop("Models and rules")
)
CONFIGURATION = ConsolePage(
    "/configuration",
    gettext_noop("Configuration"),
    Permission.CONFIGURATION_READ,
    "configuration.html",
    gettext_noop("Models and rules"),
)
SETTINGS = ConsolePage(
    "/settings", gettext_noop("Settings"), Permission.WORKSPACE_READ, "settings.html", gettext_noop("Workspace")
)

PAGES = (
    OVERVIEW,
    USAGE,
    EXPORTS,
    CALLS,
    SHARES,
    AUDIT,
    BUDGETS,
    BILLING,
    PAYMENTS,
    MEMBERS,
    GROUPS,
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
