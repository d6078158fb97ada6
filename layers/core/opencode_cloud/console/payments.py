"""The page on which a workspace pays: top-ups, automatic reloads, the card, and what became of each payment.

The function ``payments`` serves it, because only that function speaks to Stripe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.decline_words import why
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import PaymentId, TopUpId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.kit import money
from opencode_cloud.kit.errors import NotFound, ServiceError, Unavailable
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.languages import gettext
from opencode_cloud.kit.pagination import DEFAULT_LIMIT
from opencode_cloud.payments.models import OFF, TAX_LOCATION, CardView, ReloadTerms, TopUp, TopUpState
from opencode_cloud.payments.models.refunds import PAID_TWICE, RefundOrder

if TYPE_CHECKING:
    from opencode_cloud.billing.service.payments import Payments
    from opencode_cloud.payments.service.documents import Documents
    from opencode_cloud.payments.service.planning import Planning
    from opencode_cloud.payments.service.receiving import Receiving
    from opencode_cloud.payments.service.refund_orders import RefundOrders
    from opencode_cloud.payments.service.reload_settings import ReloadSettings
    from opencode_cloud.payments.service.topping_up import ToppingUp

UNFINISHED = (TopUpState.OPEN, TopUpState.PENDING)


class PaymentPages:
    """The pages of payments."""

    PAGE: ClassVar[ConsolePage] = menu.PAYMENTS

    def __init__(
        self,
        app: ConsoleApp,
        topping_up: ToppingUp,
        reloads: ReloadSettings,
        receiving: Receiving,
        payments: Payments,
        documents: Documents,
        refunds: RefundOrders,
        plans: Planning,
    ) -> None:
        self._app = app
        self._topping_up = topping_up
        self._reloads = reloads
        self._receiving = receiving
        self._payments = payments
        self._documents = documents
        self._refunds = refunds
        self._plans = plans

    def mount(self) -> None:
        """Add every page. The menu must have been given already."""
        app, page, manage = self._app, self.PAGE, Permission.BILLING_MANAGE
        app.get(page, page.path, self.show, Permission.BILLING_READ)
        app.get(page, "/payments/invoices/<number>", self.invoice, Permission.BILLING_READ)
        app.post(page, "/payments/top-ups", self.top_up, manage, self.show)
        app.post(page, "/payments/refunds", self.ask_refund, manage, self.show)
        app.post(page, "/payments/auto-reload", self.set_reloads, manage, self.show)
        app.post(page, "/payments/retry", self.retry, manage, self.show)
        app.post(page, "/payments/finish", self.finish, manage, self.show)
        app.post(page, "/payments/portal", self.portal, manage, self.show)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../payments?top_up=``: the payer comes back from Checkout with the id of a purchase."""
        workspace_id = request.workspace.id
        back = self._looked_up(workspace_id, request.query("top_up"))
        bought = self._topping_up.of_workspace(workspace_id, None, DEFAULT_LIMIT)
        card, stripe = self._card(workspace_id)
        reload = self._reloads.get(workspace_id)
        paid = self._payments.of([each.payment_id for each in bought if each.payment_id])
        return self._app.page(
            request,
            back=back,
            top_ups=bought,
            paid=paid,
            refundable=[each for each in paid.values() if each.returned.gross < each.paid.gross],
            refunds=self._refunds.of_workspace(workspace_id, None, DEFAULT_LIMIT),
            reason_of=_reason_of,
            pending=any(each.state is TopUpState.PENDING for each in bought),
            card=card,
            stripe=stripe,
            reload=reload,
            terms=reload.terms if reload else OFF,
            why=why(reload.reason) if reload else "",
            sale=self._topping_up.terms,
            tax_location=TAX_LOCATION,
            sells_plans=self._plans.terms.is_offered or self._plans.get(workspace_id) is not None,
            documents=[each for _, _, each in self._documents.of_workspace(workspace_id, None, DEFAULT_LIMIT)],
            cents=_cents,
            shown=money.shown,
            dollars=money.exact,
        )

    def invoice(self, request: PageRequest, number: str) -> Response[str]:
        """``GET .../payments/invoices/{number}``: an invoice or a credit note, to read and to print."""
        found = self._documents.get(request.workspace.id, number)
        return self._app.page(request, "invoice.html", document=found, cents=_cents)

    def top_up(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/top-ups``: lead to Checkout."""
        credit = request.form.dollars("credit")
        _, checkout = self._topping_up.begin(request.actor, request.workspace.id, credit, self._back(request))
        return self._app.leave(request, checkout.url)

    def ask_refund(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/refunds``: ask the operator to pay a part of a payment back."""
        form = request.form
        amount = form.dollars("refund_amount") if form.one("refund_amount") else None
        payment_id, reason = PaymentId(form.one("payment")), form.one("refund_reason")[:255]
        self._refunds.order(request.actor, payment_id, amount, reason, new_id("req"), request.workspace.id)
        return see(f"{request.base}/payments?done=refund")

    def set_reloads(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/auto-reload``."""
        form = request.form
        terms = ReloadTerms(
            enabled=form.one("enabled") == "1",
            threshold=form.dollars("threshold"),
            amount=form.dollars("amount"),
            day_cap=form.dollars("day_cap") if form.one("day_cap") else None,
            month_cap=form.dollars("month_cap") if form.one("month_cap") else None,
        )
        self._reloads.change(request.actor, request.workspace.id, terms, self._app.base_url())
        return see(f"{request.base}/payments?done=reload")

    def retry(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/retry``: resume stopped reloads."""
        self._reloads.retry(request.actor, request.workspace.id)
        return see(f"{request.base}/payments?done=retried")

    def finish(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/finish``: lead to the page on which the card's owner confirms a reload."""
        return self._app.leave(request, self._reloads.finish(request.actor, request.workspace.id, self._back(request)))

    def portal(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/portal``: lead to the page on which the payer changes cards."""
        return self._app.leave(request, self._topping_up.portal(request.workspace.id, self._back(request)))

    def _back(self, request: PageRequest) -> str:
        return f"{self._app.base_url()}{request.base}/payments"

    def _looked_up(self, workspace_id: WorkspaceId, top_up_id: str) -> TopUp | None:
        """Return the purchase from which the payer comes back, as Stripe says it is; None without one."""
        if not top_up_id:
            return None
        try:
            top_up = self._topping_up.get(workspace_id, TopUpId(top_up_id))
            if top_up.state in UNFINISHED:
                # The event may be late. The same effect books the payment here, once.
                self._receiving.look_up(top_up)
                top_up = self._topping_up.get(workspace_id, top_up.id)
        except NotFound:
            return None
        return top_up

    def _card(self, workspace_id: WorkspaceId) -> tuple[CardView | None, str]:
        """Return the card, and whether Stripe is ``on``, ``off`` or ``away``."""
        try:
            return self._reloads.card(workspace_id), "on"
        except Unavailable:
            return None, "away"
        except ServiceError:
            return None, "off"


def _reason_of(order: RefundOrder) -> str:
    """Return the reason of a refund: what a person wrote, or that of a rule in the reader's language."""
    return gettext(order.reason) if order.reason == PAID_TWICE else order.reason


def _cents(amount: int) -> str:
    return money.shown(amount * money.CENT)
