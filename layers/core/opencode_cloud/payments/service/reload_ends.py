"""Ends of a reload: paid, declined for good, or in the hands of a person. People are told in the same transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opencode_cloud.billing.models.accounts import USD
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.kit.money import shown
from opencode_cloud.payments.models import (
    AMOUNT_OVER_LIMIT,
    AUTHENTICATION,
    DAY_CAP,
    DEBT_OVER_LIMIT,
    MONTH_CAP,
    NO_CARD,
    NOT_FINISHED,
    TAX_LOCATION,
    TAX_REFUSED,
    AutoReload,
    ReloadState,
    TopUp,
    TopUpKind,
)

if TYPE_CHECKING:
    from opencode_cloud.mail.service import Mailer
    from opencode_cloud.outbox.service import UnitOfWork
    from opencode_cloud.payments.store.auto_reloads import AutoReloadStore
    from opencode_cloud.payments.store.top_ups import TopUpStore
    from opencode_cloud.webhooks.service.announcing import Announcer

EVENT = "payment.failed"
"""The type of the message to webhooks."""
WORDS = {
    NO_CARD: gettext_noop("no card is saved as the default one"),
    NOT_FINISHED: gettext_noop("the payment was not confirmed within 7 days"),
    DAY_CAP: gettext_noop("the cap of the day is reached"),
    MONTH_CAP: gettext_noop("the cap of the month is reached"),
    AMOUNT_OVER_LIMIT: gettext_noop("the amount is outside of what this deployment sells at once"),
    DEBT_OVER_LIMIT: gettext_noop("the debt is larger than one reload"),
    TAX_LOCATION: gettext_noop("the address of the customer is not enough to compute the tax"),
    TAX_REFUSED: gettext_noop("Stripe did not compute the tax"),
    AUTHENTICATION: gettext_noop("the bank asks for the owner of the card"),
    "insufficient_funds": gettext_noop("the card has insufficient funds"),
    "expired_card": gettext_noop("the card has expired"),
}
"""Reasons for people. Pages translate them."""
DECLINED = gettext_noop("the bank declined the charge (%(reason)s)")
"""The words of another reason, which is a code of the bank."""
SUSPECT = timedelta(hours=1)
STORM = 3
"""Reloads within ``SUSPECT`` that an operator should look at."""


def in_words(reason: str) -> str:
    """Return a reason of a stop for people, in English."""
    return WORDS.get(reason, DECLINED % {"reason": reason} if reason else "")


class ReloadEnds:
    """Ends a charge, and gives its lease back."""

    def __init__(self, reloads: AutoReloadStore, top_ups: TopUpStore, mailer: Mailer, announcer: Announcer) -> None:
        self._reloads = reloads
        self._top_ups = top_ups
        self._mailer = mailer
        self._announcer = announcer

    def paid(self, unit: UnitOfWork, top_up: TopUp) -> None:
        """Give the lease back after a top-up was booked. The caller must have locked the top-up."""
        reload = self._running(unit, top_up)
        if reload is not None:
            self._reloads.move(unit.connection, top_up.workspace_id, ReloadState.IDLE, reason="", top_up_id="")
            # Calls may have used more than the reload while it ran.
            unit.emit(Topic.RELOAD, top_up.workspace_id)

    def failed(self, unit: UnitOfWork, top_up: TopUp, reason: str) -> None:
        """Tell the payers that a payment failed for good, and stop the reloads if it was one of them."""
        if top_up.kind is TopUpKind.CHECKOUT:
            self._tell(unit, top_up.workspace_id, "", top_up.credit, reason, top_up)
            return
        reload = self._running(unit, top_up)
        if reload is not None:
            self.stop(unit, reload, reason, top_up)

    def stop(
        self,
        unit: UnitOfWork,
        reload: AutoReload,
        reason: str,
        top_up: TopUp | None = None,
        until: datetime | None = None,
    ) -> None:
        """Stop the reloads of a workspace, ``until`` a time or for good, and tell its payers once."""
        values = {"reason": reason, "top_up_id": "", "next_at": until}
        self._reloads.move(unit.connection, reload.workspace_id, ReloadState.STOPPED, **values)
        credit = top_up.credit if top_up else reload.terms.amount
        self._tell(unit, reload.workspace_id, reload.base_url, credit, reason, top_up, stopped=True)

    def ask(self, unit: UnitOfWork, reload: AutoReload, top_up: TopUp) -> None:
        """Wait for the owner of the card, and tell the payers where to go on."""
        values = {"reason": AUTHENTICATION, "next_at": None}
        self._reloads.move(unit.connection, reload.workspace_id, ReloadState.ACTION_REQUIRED, **values)
        self._tell(unit, reload.workspace_id, reload.base_url, top_up.credit, AUTHENTICATION, top_up, action=True)

    def new_card(self, unit: UnitOfWork, workspace_id: WorkspaceId, method_id: str) -> None:
        """Go on after the customer has chosen another card than the one that was declined."""
        reload = self._reloads.get(unit.connection, workspace_id, lock=True)
        if reload is None or method_id in ("", reload.method_id):
            return
        if reload.state is ReloadState.STOPPED and reload.next_at is None:
            self._reloads.move(unit.connection, workspace_id, ReloadState.IDLE, reason="")
        elif reload.state is ReloadState.CHARGING:
            self._reloads.keep(unit.connection, workspace_id, next_at=utc_now())
        else:
            return
        unit.emit(Topic.RELOAD, workspace_id)

    def _running(self, unit: UnitOfWork, top_up: TopUp) -> AutoReload | None:
        """Return the locked row whose lease a top-up holds; None if it holds none any more."""
        if top_up.kind is not TopUpKind.RELOAD:
            return None
        reload = self._reloads.get(unit.connection, top_up.workspace_id, lock=True)
        return reload if reload is not None and reload.top_up_id == top_up.id else None

    def _tell(
        self,
        unit: UnitOfWork,
        workspace_id: WorkspaceId,
        base_url: str,
        credit: int,
        reason: str,
        top_up: TopUp | None,
        *,
        action: bool = False,
        stopped: bool = False,
    ) -> None:
        """Tell people by mail, and the workspace's webhook."""
        url = f"{base_url}/console/{workspace_id}/payments" if base_url else ""
        payment = {
            "top_up_id": top_up.id if top_up else None,
            "amount": credit,
            "currency": USD,
            "reason": reason,
            "explanation": in_words(reason),
            "action_required": action,
            "reloads_stopped": stopped,
            "url": url or None,
        }
        self._announcer.announce(unit, workspace_id, new_id("whk"), EVENT, {"payment": payment})
        variables = {
            "workspace": self._top_ups.workspace_name(unit.connection, workspace_id),
            "amount": shown(credit),
            "reason": payment["explanation"],
            "action": action,
            "stopped": stopped,
            "url": url,
        }
        for recipient in self._reloads.payers(unit.connection, workspace_id):
            self._mailer.queue(unit, Template.PAYMENT_FAILED, recipient, variables, workspace_id)
