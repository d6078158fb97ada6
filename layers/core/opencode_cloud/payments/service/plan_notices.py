"""Tell the payers of a plan, once each: before a renewal, and when one is not paid."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from opencode_cloud.billing.models.accounts import USD
from opencode_cloud.contracts.mail import Template
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.money import CENT, shown
from opencode_cloud.kit.timestamps import rfc3339
from opencode_cloud.payments.models.plans import InvoiceView, NextInvoice, SeatPlan, SubscriptionView
from opencode_cloud.payments.service.reload_ends import EVENT

if TYPE_CHECKING:
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.outbox.service import UnitOfWork
    from opencode_cloud.payments.store.auto_reloads import AutoReloadStore
    from opencode_cloud.payments.store.plans import PlanStore
    from opencode_cloud.webhooks.service.announcing import Announcer

RENEWAL = "plan.renewal"
"""The type of the message to webhooks before a renewal."""
PLAN_UNPAID = "plan_unpaid"
"""Our reason of a payment of a plan that failed."""


class PlanNotices:
    """Writes mails and messages in the unit of their cause."""

    def __init__(self, store: PlanStore, payers: AutoReloadStore, mailer: Mailer, announcer: Announcer) -> None:
        self._store = store
        self._payers = payers
        self._mailer = mailer
        self._announcer = announcer

    def renewal(self, unit: UnitOfWork, plan: SeatPlan, found: SubscriptionView, due: NextInvoice) -> None:
        """Tell of a renewal. The caller remembers it in the same unit, with the plan locked."""
        expired = found.card is not None and _has_expired(found.card.expires, due.at)
        facts = {
            "seats": found.seats,
            "amount": due.due,
            "currency": USD,
            "renews_at": rfc3339(due.at),
            "card_expires_before": expired,
            "url": self._url(plan),
        }
        self._announcer.announce(unit, plan.workspace_id, new_id("whk"), RENEWAL, {"plan": facts})
        variables = {
            "seats": found.seats,
            "amount": shown(due.due),
            "date": _date(due.at),
            "card": f"{found.card.brand} {found.card.last4}" if found.card else "",
            "expired": expired,
            "url": self._url(plan),
        }
        self._mail(unit, plan, Template.PLAN_RENEWAL, variables)

    def unpaid(self, unit: UnitOfWork, plan: SeatPlan, invoice: InvoiceView) -> None:
        """Tell that an invoice was not paid. The caller remembers it in the same unit, with the plan locked."""
        payment = {
            "top_up_id": None,
            "amount": invoice.remaining * CENT,
            "currency": USD,
            "reason": PLAN_UNPAID,
            "explanation": f"the invoice {invoice.number} of the plan was not paid",
            "action_required": True,
            "reloads_stopped": False,
            "url": self._url(plan),
        }
        self._announcer.announce(unit, plan.workspace_id, new_id("whk"), EVENT, {"payment": payment})
        variables = {
            "amount": shown(invoice.remaining * CENT),
            "number": invoice.number,
            "again": _date(invoice.next_attempt_at) if invoice.next_attempt_at else "",
            "url": self._url(plan),
        }
        self._mail(unit, plan, Template.PLAN_UNPAID, variables)

    def paid_twice(self, unit: UnitOfWork, plan: SeatPlan, amount: int) -> None:
        """Tell that a second payment is paid back. The caller orders the refund in the same unit."""
        url = f"{plan.base_url}/console/{plan.workspace_id}/payments"
        self._mail(unit, plan, Template.PLAN_PAID_TWICE, {"amount": shown(amount), "url": url})

    def _mail(self, unit: UnitOfWork, plan: SeatPlan, template: Template, variables: dict[str, Any]) -> None:
        name = self._store.workspace_name(unit.connection, plan.workspace_id)
        if name is None:
            return  # The workspace was deleted.
        for recipient in self._payers.payers(unit.connection, plan.workspace_id):
            self._mailer.queue(unit, template, recipient, {"workspace": name, **variables}, plan.workspace_id)

    def _url(self, plan: SeatPlan) -> str:
        return f"{plan.base_url}/console/{plan.workspace_id}/payments/plan"


def _date(moment: datetime) -> str:
    return f"{moment:%-d %B %Y, %H:%M} UTC"


def _has_expired(expires: str, at: datetime) -> bool:
    """Tell whether a card that is valid until the end of a month, such as ``2034-12``, has expired at a time."""
    return bool(expires) and f"{at:%Y-%m}" > expires
