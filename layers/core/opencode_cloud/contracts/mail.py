"""The mails that features send."""

from __future__ import annotations

from enum import StrEnum


class Template(StrEnum):
    """The template of a mail. Each has ``web/mail/<name>.mjml`` and ``.txt``, and the variables that these name."""

    SIGN_IN_CODE = "sign-in-code"
    """``challenge`` (id), ``minutes``, ``address`` (of the requester), ``device``. The code is derived when the mail is
    sent."""
    INVITATION = "invitation"
    """``invitation`` (id), ``generation``, ``workspace``, ``inviter``, ``role``, ``expires``, and ``base``, the address
    in the inviter's browser, for deployments without a domain. The link is ``<base>/invitations/<token>``."""
    WELCOME_OWNER = "welcome-owner"
    """``workspace``, ``base``. Sent to the first owner of a fresh deployment, who proves the address by signing in."""
    MEMBER_REMOVED = "member-removed"
    """``workspace``, ``remover``."""
    KEY_CREATED = "key-created"
    """``workspace``, ``name``, ``visible`` (first and last characters), ``creator``."""
    KEY_ROTATED = "key-rotated"
    """``workspace``, ``name``, ``visible``, ``creator``, ``until`` (when the old key ends)."""
    BUDGET_ALERT = "budget-alert"
    """``workspace``, ``budget`` (in words), ``threshold`` (percent), ``used``, ``limit``, ``refused`` (whether a call
    was refused), ``resets`` (time of the next reset; empty: it never resets)."""
    PAYMENT_FAILED = "payment-failed"
    """``workspace``, ``amount``, ``reason`` (in words), ``action`` (whether the bank asks for the card's owner),
    ``stopped`` (whether automatic reloads have stopped), ``url`` of the page that continues; empty without one."""
    PLAN_RENEWAL = "plan-renewal"
    """``workspace``, ``seats``, ``amount``, ``date``, ``card`` (brand and last digits; empty without one), ``expired``
    (whether the card ends before the renewal), ``url`` of the page of the plan."""
    PLAN_UNPAID = "plan-unpaid"
    """``workspace``, ``amount``, ``number`` of the invoice, ``again`` (time of the next attempt; empty: none follows),
    ``url`` of the page of the plan."""
    PLAN_PAID_TWICE = "plan-paid-twice"
    """``workspace``, ``amount`` that is paid back, ``url`` of the page of payments."""
