"""Reasons of a charge that failed or waits, in the reader's language. Mails and webhooks say them in English."""

from __future__ import annotations

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.payments.service.reload_ends import DECLINED, WORDS


def why(reason: str) -> str:
    """Return a reason of a stop or of a failed start as the reader understands it; empty without one."""
    if reason in WORDS:
        return _(WORDS[reason])
    return _(DECLINED, reason=reason) if reason else ""
