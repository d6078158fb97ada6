"""Entries of the audit trail as sentences for people, with a link to their subject."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.languages import pgettext
from opencode_cloud.kit.marked_messages import gettext_noop, pgettext_noop

if TYPE_CHECKING:
    from opencode_cloud.audit.models import AuditRecord

SENTENCES = {
    "call.refused": gettext_noop("was refused a call of"),
    "share.refused": gettext_noop("was refused to share"),
    "share.mode_changed": gettext_noop("changed who can open the share"),
    "share.commented": gettext_noop("commented on the share"),
    "share.comment_deleted": gettext_noop("deleted a comment on the share"),
    "share.comment_reopened": gettext_noop("opened again a comment on the share"),
    "share.comment_resolved": gettext_noop("resolved a comment on the share"),
    "account.signed_in": gettext_noop("signed in to the account"),
    "share.revoked": gettext_noop("revoked the share"),
    "member.joined": gettext_noop("joined as"),
    "member.left": gettext_noop("left:"),
    "group.members_changed": gettext_noop("changed the members of the group"),
    "member.role_changed": gettext_noop("changed the role of"),
    "invitation.created": gettext_noop("invited"),
    "invitation.accepted": gettext_noop("accepted the invitation of"),
    "invitation.declined": gettext_noop("declined the invitation of"),
    "invitation.revoked": gettext_noop("withdrew the invitation of"),
    "invitation.resent": gettext_noop("sent again the invitation of"),
    "workspace.transferred": gettext_noop("transferred the workspace"),
    "plan.begun": gettext_noop("began to start the plan"),
    "plan.canceled": gettext_noop("canceled the plan"),
    "plan.card_chosen": gettext_noop("chose the card of the plan"),
    "plan.resumed": gettext_noop("resumed the plan"),
    "usage_settings.updated": gettext_noop("changed the settings of usage"),
    "policy.published": gettext_noop("published version"),
    "configuration.published": gettext_noop("published version"),
    "policy.restored": gettext_noop("published again an older version of the policy as"),
    "configuration.restored": gettext_noop("published again an older version of the configuration as"),
}
"""Predicates of actions whose name does not read as one. The subject's name follows."""

VERBS = frozenset(
    {
        pgettext_noop("audit", "activated"),
        pgettext_noop("audit", "added"),
        pgettext_noop("audit", "adjusted"),
        pgettext_noop("audit", "allowed"),
        pgettext_noop("audit", "approved"),
        pgettext_noop("audit", "assigned"),
        pgettext_noop("audit", "begun"),
        pgettext_noop("audit", "blocked"),
        pgettext_noop("audit", "changed"),
        pgettext_noop("audit", "claimed"),
        pgettext_noop("audit", "created"),
        pgettext_noop("audit", "deleted"),
        pgettext_noop("audit", "denied"),
        pgettext_noop("audit", "disabled"),
        pgettext_noop("audit", "enabled"),
        pgettext_noop("audit", "ended"),
        pgettext_noop("audit", "fetched"),
        pgettext_noop("audit", "granted"),
        pgettext_noop("audit", "proposed"),
        pgettext_noop("audit", "published"),
        pgettext_noop("audit", "purged"),
        pgettext_noop("audit", "redeemed"),
        pgettext_noop("audit", "removed"),
        pgettext_noop("audit", "renewed"),
        pgettext_noop("audit", "replaced"),
        pgettext_noop("audit", "rescanned"),
        pgettext_noop("audit", "restored"),
        pgettext_noop("audit", "retried"),
        pgettext_noop("audit", "reversed"),
        pgettext_noop("audit", "revoked"),
        pgettext_noop("audit", "rotated"),
        pgettext_noop("audit", "set"),
        pgettext_noop("audit", "tested"),
        pgettext_noop("audit", "transferred"),
        pgettext_noop("audit", "unblocked"),
        pgettext_noop("audit", "updated"),
        pgettext_noop("audit", "verified"),
    }
)
NOUNS = frozenset(
    {
        pgettext_noop("audit", "account"),
        pgettext_noop("audit", "adjustment"),
        pgettext_noop("audit", "auto reload"),
        pgettext_noop("audit", "balance"),
        pgettext_noop("audit", "budget"),
        pgettext_noop("audit", "budget webhook"),
        pgettext_noop("audit", "catalogue"),
        pgettext_noop("audit", "client"),
        pgettext_noop("audit", "configuration"),
        pgettext_noop("audit", "coupon"),
        pgettext_noop("audit", "credit"),
        pgettext_noop("audit", "device"),
        pgettext_noop("audit", "domain"),
        pgettext_noop("audit", "export"),
        pgettext_noop("audit", "export schedule"),
        pgettext_noop("audit", "group"),
        pgettext_noop("audit", "key"),
        pgettext_noop("audit", "member"),
        pgettext_noop("audit", "payment"),
        pgettext_noop("audit", "policy"),
        pgettext_noop("audit", "projection"),
        pgettext_noop("audit", "provider"),
        pgettext_noop("audit", "refund"),
        pgettext_noop("audit", "service account"),
        pgettext_noop("audit", "session"),
        pgettext_noop("audit", "share"),
        pgettext_noop("audit", "signing key"),
        pgettext_noop("audit", "top up"),
        pgettext_noop("audit", "transaction"),
        pgettext_noop("audit", "workspace"),
    }
)
"""The words of other names of actions. A name with another word is shown in English."""

PAGES = {
    "member": "/members?search={name}",
    "group": "/groups/{id}",
    "invitation": "/members",
    "key": "/keys/{id}",
    "service_account": "/keys?holder={id}",
    "share": "/shares/{id}",
    "budget": "/budgets/{id}",
    "provider": "/providers",
    "plan": "/payments/plan",
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
        return _(SENTENCES[entry.action])
    noun, verb = (word.replace("_", " ") for word in entry.action.partition(".")[::2])
    if noun not in NOUNS or verb not in VERBS:
        return f"{verb} the {noun}"
    return _("%(verb)s the %(noun)s", verb=pgettext("audit", verb), noun=pgettext("audit", noun))


def page_of(entry: AuditRecord) -> str:
    """Return the page of an entry's subject below the path of the workspace; empty if it has none, or has ended."""
    verb = entry.action.partition(".")[2]
    pattern = PAGES.get(entry.target_kind, "")
    ended = verb in _ENDED and "{" in pattern
    known = entry.target_name if "{name}" in pattern else entry.target_id
    return "" if ended or not known else pattern.format(id=quote(entry.target_id), name=quote(entry.target_name))
