"""Preview mails, for authors of templates and for the mailbox page of the local stage."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from opencode_cloud.contracts.mail import Template
from opencode_cloud.mail.rendering import Rendered, Renderer

SAMPLES: Mapping[Template, dict[str, Any]] = MappingProxyType(
    {
        Template.SIGN_IN_CODE: {
            "challenge": "01K0000000000000000000000A",
            "minutes": 10,
            "address": "203.0.113.7",
            "device": "Firefox on Linux",
        },
        Template.INVITATION: {
            "invitation": "inv_01K0000000000000000000000B",
            "generation": 1,
            "workspace": "Research & Development",
            "inviter": "ada@example.com",
            "role": "member",
            "expires": "1 July 2026, 12:00 UTC",
            "base": "https://cloud.example.com",
        },
        Template.WELCOME_OWNER: {"workspace": "Research & Development", "base": "https://cloud.example.com"},
        Template.MEMBER_REMOVED: {"workspace": "Research & Development", "remover": "ada@example.com"},
        Template.KEY_CREATED: {
            "workspace": "Research & Development",
            "name": "build server",
            "visible": "oc_sk_Ab3d...9xYz",
            "creator": "ada@example.com",
        },
        Template.KEY_ROTATED: {
            "workspace": "Research & Development",
            "name": "build server",
            "visible": "oc_sk_Ab3d...9xYz",
            "creator": "ada@example.com",
            "until": "1 July 2026, 12:00 UTC",
        },
        Template.BUDGET_ALERT: {
            "workspace": "Research & Development",
            "budget": "the monthly budget of intern@example.com",
            "threshold": 80,
            "used": "$16.02",
            "limit": "$20.00",
            "refused": False,
            "resets": "1 December 2026, 00:00 UTC",
        },
        Template.PAYMENT_FAILED: {
            "workspace": "Research & Development",
            "amount": "$20.00",
            "reason": "the card has expired",
            "action": False,
            "stopped": True,
            "url": "https://cloud.example.com/console/wrk_01K0000000000000000000000C/payments",
        },
        Template.PLAN_RENEWAL: {
            "workspace": "Research & Development",
            "seats": 12,
            "amount": "$240.00",
            "date": "1 December 2026, 10:00 UTC",
            "card": "visa 4242",
            "expired": True,
            "url": "https://cloud.example.com/console/wrk_01K0000000000000000000000C/payments/plan",
        },
        Template.PLAN_UNPAID: {
            "workspace": "Research & Development",
            "amount": "$240.00",
            "number": "8E1F2A3B-0002",
            "again": "4 December 2026, 10:00 UTC",
            "url": "https://cloud.example.com/console/wrk_01K0000000000000000000000C/payments/plan",
        },
        Template.PLAN_PAID_TWICE: {
            "workspace": "Research & Development",
            "amount": "$240.00",
            "url": "https://cloud.example.com/console/wrk_01K0000000000000000000000C/payments",
        },
    }
)


def preview(template: Template) -> Rendered:
    """Render a template with sample values. Its link and code are valid in no deployment."""
    return Renderer(lambda: "preview", "").render(template, SAMPLES[template])
