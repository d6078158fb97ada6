"""The page of the plan per seat: its state, seats, next invoice, card, and what was paid.

The function ``payments`` serves it, because only that function speaks to Stripe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.console import menu
from opencode_cloud.console.app import ConsoleApp, PageRequest
from opencode_cloud.console.decline_words import why
from opencode_cloud.console.page import ConsolePage
from opencode_cloud.contracts.ids import PlanId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.pages import see
from opencode_cloud.kit import money
from opencode_cloud.kit.errors import ServiceError, Unavailable
from opencode_cloud.kit.pagination import DEFAULT_LIMIT
from opencode_cloud.payments.models import CardView, StripeRefused
from opencode_cloud.payments.models.plans import NextInvoice, SeatPlan

if TYPE_CHECKING:
    from opencode_cloud.payments.service.planning import Planning
    from opencode_cloud.payments.service.topping_up import ToppingUp

PATH = "/payments/plan"


class PlanPages:
    """The page of a plan, below the page of payments."""

    PAGE: ClassVar[ConsolePage] = menu.PAYMENTS

    def __init__(self, app: ConsoleApp, planning: Planning, topping_up: ToppingUp) -> None:
        self._app = app
        self._planning = planning
        self._topping_up = topping_up

    def mount(self) -> None:
        """Add the page. The menu must have been given already."""
        app, page, manage = self._app, self.PAGE, Permission.BILLING_MANAGE
        app.get(page, PATH, self.show, Permission.BILLING_READ)
        app.post(page, f"{PATH}/start", self.start, manage, self.show)
        app.post(page, f"{PATH}/start-by-card", self.start_by_card, manage, self.show)
        app.post(page, f"{PATH}/cancel", self.cancel, manage, self.show)
        app.post(page, f"{PATH}/resume", self.resume, manage, self.show)
        app.post(page, f"{PATH}/card", self.choose_card, manage, self.show)
        app.post(page, f"{PATH}/portal", self.portal, manage, self.show)

    def show(self, request: PageRequest) -> Response[str]:
        """``GET .../payments/plan?plan=``: the payer comes back from Checkout with the id of a plan."""
        workspace_id = request.workspace.id
        self._look_up(workspace_id, request.query("plan"))
        plan = self._planning.get(workspace_id)
        own, saved, upcoming, stripe = self._at_stripe(plan, workspace_id)
        return self._app.page(
            request,
            "plan.html",
            plan=plan,
            why=why(plan.reason) if plan else "",
            runs=plan is not None and plan.runs,
            terms=self._planning.terms,
            seats=self._planning.seats(workspace_id),
            own=own,
            saved=saved,
            upcoming=upcoming,
            stripe=stripe,
            unpaid=self._planning.unpaid(plan) if plan and plan.runs else None,
            invoices=self._planning.invoices(workspace_id, None, DEFAULT_LIMIT),
            shown=money.shown,
        )

    def start(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/plan/start``: lead to Checkout."""
        _, url = self._planning.begin(request.actor, request.workspace.id, self._app.base_url(), self._back(request))
        return self._app.leave(request, url)

    def start_by_card(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/plan/start-by-card``: charge the saved card."""
        self._planning.begin_by_card(request.actor, request.workspace.id, self._app.base_url())
        return see(f"{request.base}{PATH}?done=plan")

    def cancel(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/plan/cancel``: let the plan end with its period."""
        self._planning.cancel(request.actor, request.workspace.id)
        return see(f"{request.base}{PATH}?done=plan")

    def resume(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/plan/resume``: let the plan renew after all."""
        self._planning.resume(request.actor, request.workspace.id)
        return see(f"{request.base}{PATH}?done=plan")

    def choose_card(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/plan/card``: charge the default card from now on."""
        self._planning.choose_card(request.actor, request.workspace.id)
        return see(f"{request.base}{PATH}?done=plan")

    def portal(self, request: PageRequest) -> Response[str]:
        """``POST .../payments/plan/portal``: lead to the page on which the payer changes cards."""
        return self._app.leave(request, self._topping_up.portal(request.workspace.id, self._back(request)))

    def _back(self, request: PageRequest) -> str:
        return f"{self._app.base_url()}{request.base}{PATH}"

    def _look_up(self, workspace_id: WorkspaceId, plan_id: str) -> None:
        """Read a plan from whose checkout the payer comes back, so that the page does not wait for the event."""
        try:
            if plan_id:
                self._planning.look_up(workspace_id, PlanId(plan_id))
        except (StripeRefused, ServiceError):
            return  # The page shows what is known, and says whether Stripe is away.

    def _at_stripe(
        self, plan: SeatPlan | None, workspace_id: WorkspaceId
    ) -> tuple[CardView | None, CardView | None, NextInvoice | None, str]:
        """Return the plan's card, the saved one, the next invoice, and whether Stripe is on, off or away."""
        try:
            own, saved = self._planning.cards(plan, workspace_id)
            return own, saved, self._planning.next_invoice(plan) if plan else None, "on"
        except (Unavailable, StripeRefused):
            return None, None, None, "away"
        except ServiceError:
            return None, None, None, "off"
