"""Labels of form fields, for the summary of faults at the top of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit.marked_messages import gettext_noop

if TYPE_CHECKING:
    from opencode_cloud.kit.json_documents import DocumentFault

LABELS: Mapping[str, str] = {
    "alerts": gettext_noop("Alerts"),
    "allow": gettext_noop("Allowed models"),
    "amount": gettext_noop("Buy credit of"),
    "audit_retention_days": gettext_noop("Days that the audit trail is kept"),
    "auto_join": gettext_noop("Join as they sign in"),
    "base_url": gettext_noop("Base URL"),
    "budget": gettext_noop("Budget in dollars a month"),
    "code": gettext_noop("Coupon"),
    "comment": gettext_noop("Comment on the version"),
    "configuration": gettext_noop("Document"),
    "credit": gettext_noop("Credit in US dollars"),
    "day_cap": gettext_noop("At most a day"),
    "days": gettext_noop("Expires after"),
    "default_model": gettext_noop("Model"),
    "deny": gettext_noop("Denied models"),
    "domain": gettext_noop("Domain"),
    "email": gettext_noop("E-mail addresses"),
    "enabled": gettext_noop("Automatic reloads"),
    "every": gettext_noop("Make an export"),
    "expires": gettext_noop("Last day, in UTC"),
    "expires_at": gettext_noop("Expires"),
    "fallbacks": gettext_noop("Other models in place of one"),
    "format": gettext_noop("Format"),
    "from": gettext_noop("From"),
    "holder": gettext_noop("Acts for"),
    "leave_name": gettext_noop("Name of the workspace"),
    "lifetime": gettext_noop("Longest lifetime"),
    "limit": gettext_noop("Limit"),
    "machine": gettext_noop("Name of a new service account"),
    "member": gettext_noop("Member"),
    "metadata_days": gettext_noop("Days that client, user agent and IP address of a call are kept"),
    "mode": gettext_noop("Who can open it"),
    "model": gettext_noop("Model"),
    "models": gettext_noop("Models"),
    "month_cap": gettext_noop("At most a month"),
    "name": gettext_noop("Name"),
    "networks": gettext_noop("Allowed networks"),
    "other": gettext_noop("Compared with"),
    "overlap": gettext_noop("The old key ends"),
    "overlap_seconds": gettext_noop("The old key ends"),
    "password": gettext_noop("Password"),
    "payment": gettext_noop("Payment"),
    "period": gettext_noop("Period"),
    "policy": gettext_noop("Policy"),
    "project": gettext_noop("Project"),
    "project_headers": gettext_noop("Headers in which clients name their project"),
    "prompt": gettext_noop("Prompt"),
    "provider": gettext_noop("Provider"),
    "providers": gettext_noop("Providers"),
    "refund_amount": gettext_noop("Amount in US dollars"),
    "refund_reason": gettext_noop("Reason"),
    "remove": gettext_noop("Members"),
    "add": gettext_noop("Members"),
    "role": gettext_noop("Role"),
    "scheduled_format": gettext_noop("Format"),
    "scopes": gettext_noop("Scopes"),
    "secret": gettext_noop("Key"),
    "service_account_id": gettext_noop("Acts for"),
    "session_budget": gettext_noop("Budget of a session"),
    "share": gettext_noop("Sharing"),
    "share_mode": gettext_noop("Who can open shares"),
    "share_patterns": gettext_noop("Secrets of your own"),
    "share_redaction": gettext_noop("Secrets in what is shared"),
    "small_model": gettext_noop("Small model, for titles"),
    "subject": gettext_noop("Limit for"),
    "subject_id": gettext_noop("Limit for"),
    "text": gettext_noop("Document"),
    "threshold": gettext_noop("When the balance is below"),
    "to": gettext_noop("To"),
    "tools": gettext_noop("Tools"),
    "transfer_name": gettext_noop("Name of the workspace"),
    "unit": gettext_noop("Unit"),
    "url": gettext_noop("URL"),
}
"""The label of each field by its name: the words of the form, as short as a list needs them."""
_PLACES: Mapping[str, str] = {"service_account_id": "holder", "subject_id": "subject", "configuration": "text"}
"""The id of a field on the page, where a fault has the name of the API."""


class FaultLine(msgspec.Struct, frozen=True):
    """A fault in the summary, with a link to its field."""

    field: str
    """The id of the field; empty for a fault of the whole form."""
    label: str
    message: str


def line_of(fault: DocumentFault) -> FaultLine:
    """Return the line of a fault. The rules of a policy are fields of their own."""
    parts = fault.path.split("/")[1:]
    if parts[:1] == ["policy"]:
        parts = parts[1:]
    field = parts[0] if parts else ""
    return FaultLine(_PLACES.get(field, field), label_of(field), fault.message)


def label_of(field: str) -> str:
    """Return the label of a field, not yet translated; the name itself for a field without one."""
    return LABELS.get(field) or field.replace("_", " ").capitalize()
