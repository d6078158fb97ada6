"""Entries of the audit trail as sentences for people, with a link to their subject."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from opencode_cloud.audit.models import AuditRecord

SENTENCES = {
    "call.refused": "was refused a call of",
    "share.refused": "was refused to share",
    "share.mode_changed": "changed who can open the share",
    "member.joined": "joined as",
    "member.left": "left:",
    "member.role_changed": "changed the role of",
    "invitation.created": "invited",
    "invitation.accepted": "accepted the invitation of",
    "invitation.declined": "declined the invitation of",
    "invitation.revoked": "withdrew the invitation of",
    "invitation.resent": "sent again the invitation of",
    "workspace.transferred": "transferred the workspace",
    "usage_settings.updated": "changed the settings of usage",
    "policy.published": "published version",
    "configuration.published": "published version",
    "policy.restored": "published again an older version of the policy as",
    "configuration.restored": "published again an older version of the configuration as",
}
"""Predicates of actions whose name does not read as one. The subject's name follows."""

PAGES = {
    "member": "/members?search={name}",
    "invitation": "/members",
    "key": "/keys/{id}",
    "service_account": "/keys?holder={id}",
    "share": "/shares/{id}",
    "budget": "/budgets/{id}",
    "provider": "/providers",
    "policy": "/policy",
    "configuration": "/configuration",
    "domain": "/settings",
    "workspace": "/settings",
    "model": "/calls?model={name}",
    "webhook": "/budgets/alerts",
}
"""The page of each kind of subject, below the path of the workspace."""
_ENDED = frozenset({"deleted", "removed", "revoked", "left", "declined", "purged"})


def predicate(entry: AuditRecord) -> str:
    """Return what was done, such as ``created the key``; the name of the subject follows."""
    if entry.action in SENTENCES:
        return SENTENCES[entry.action]
    noun, _, verb = entry.action.partition(".")
    return f"{verb.replace('_', ' ')} the {noun.replace('_', ' ')}"


def page_of(entry: AuditRecord) -> str:
    """Return the page of an entry's subject below the path of the workspace; empty if it has none, or has ended."""
    _, _, verb = entry.action.partition(".")
    pattern = PAGES.get(entry.target_kind, "")
    ended = verb in _ENDED and "{" in pattern
    known = entry.target_name if "{name}" in pattern else entry.target_id
    return "" if ended or not known else pattern.format(id=quote(entry.target_id), name=quote(entry.target_name))
