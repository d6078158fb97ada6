"""`/api/v1/workspaces/{workspace}/plan`: the plan per seat, its seats and invoices."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from opencode_cloud.contracts.ids import PlanId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.instants import Instant
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.payments.models.plans import PlanInvoice, PlanState, SeatPlan

if TYPE_CHECKING:
    from opencode_cloud.payments.service.planning import Planning

TAG = "Payments"


class PlanOffer(ApiModel):
    """The plan that the operator of this deployment offers. Amounts are micro-cents."""

    seat_price: int = Field(description="For a seat and month.")
    seat_credit: int = Field(description="The promotional credit of a seat for a month. It ends with the period.")


class PlanView(ApiModel):
    """A plan of a workspace. Amounts are micro-cents."""

    id: PlanId
    state: PlanState = Field(
        description="`starting`: the first payment is not finished. `past_due`: a renewal is not paid."
    )
    seats: int = Field(description="The number at Stripe.")
    seat_price: int
    seat_credit: int
    period_start: Instant | None
    period_end: Instant | None = Field(description="When the plan renews or ends; null before it has begun.")
    ends_at: Instant | None = Field(description="When the plan ends; null: it renews.")
    reason: str = Field(description="The code of the refusal, or ours, of a plan that never began; else empty.")
    created_at: Instant


class WorkspacePlan(ApiModel):
    """The plan of a workspace, and what it may start."""

    offer: PlanOffer | None = Field(description="null: this deployment offers no plan.")
    seats_needed: int = Field(description="Members who may call models. A change reaches the plan within seconds.")
    plan: PlanView | None = Field(description="The one that began last; null: the workspace never had one.")


class PlanStart(ApiModel):
    """The way in which a plan is paid."""

    saved_card: bool = Field(default=False, description="Charge the saved card at once, without a page.")


class StartedPlan(PlanView):
    """A plan that starts."""

    checkout_url: str | None = Field(description="Send the payer there; null: the saved card was charged.")


class PlanInvoiceView(ApiModel):
    """An invoice of a plan, which Stripe issues. Amounts are micro-cents."""

    id: str
    number: str
    status: str = Field(description="`open`, `paid`, `void` or `uncollectible`.")
    seats: int = Field(description="Seats of the period that it is for; 0 if it is for changes only.")
    total: int = Field(description="Negative if seats were given back. It lowers later invoices then.")
    tax: int = Field(description="The tax in the total.")
    due: int
    paid: int
    credited: int = Field(description="The amount of all credit notes.")
    period_start: Instant | None
    period_end: Instant | None
    url: str = Field(description="The page at Stripe on which it is read and paid.")
    created_at: Instant


class PlanRoutes:
    """Routes of plans."""

    def __init__(self, planning: Planning, gate: Gate, public_url: str) -> None:
        self._planning = planning
        self._gate = gate
        self._public_url = public_url

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, root = self._gate.add, f"{WORKSPACE}/plan"
        read, manage = Permission.BILLING_READ, Permission.BILLING_MANAGE
        add(f"GET {root}", self.get, read, "Read the plan", TAG)
        add(f"POST {root}", self.start, manage, "Start a plan", TAG, HTTPStatus.CREATED)
        add(f"POST {root}/cancel", self.cancel, manage, "Cancel the plan", TAG)
        add(f"POST {root}/resume", self.resume, manage, "Resume the plan", TAG)
        add(f"POST {root}/card", self.choose_card, manage, "Charge the plan to the default card", TAG)
        add(f"GET {root}/invoices", self.invoices, read, "List invoices of the plan", TAG)

    def get(self, workspace_id: WorkspaceId) -> Response[WorkspacePlan]:
        """Read the plan, the seats that the members need, and the operator's offer."""
        terms, plan = self._planning.terms, self._planning.get(workspace_id)
        offer = PlanOffer(seat_price=terms.seat_price, seat_credit=terms.seat_credit) if terms.is_offered else None
        shown = _view(plan) if plan else None
        return document(WorkspacePlan(offer=offer, seats_needed=self._planning.seats(workspace_id), plan=shown))

    def start(self, workspace_id: WorkspaceId, body: PlanStart) -> Response[StartedPlan]:
        """Start a plan with a seat for each member who may call models.

        The plan is active when its first payment is made. A workspace has one plan: a repeated request opens the same
        page.
        """
        base, url = http_events.base_url(self._gate.event, self._public_url), None
        if body.saved_card:
            plan = self._planning.begin_by_card(self._gate.actor, workspace_id, base)
        else:
            back = f"{base}/console/{workspace_id}/payments/plan"
            plan, url = self._planning.begin(self._gate.actor, workspace_id, base, back)
        started = StartedPlan(checkout_url=url, **_view(plan).model_dump())
        return document(started, HTTPStatus.CREATED)

    def cancel(self, workspace_id: WorkspaceId) -> Response[PlanView]:
        """Let the plan end with its period. Seats that were added in the period are charged at its end."""
        return document(_view(self._planning.cancel(self._gate.actor, workspace_id)))

    def resume(self, workspace_id: WorkspaceId) -> Response[PlanView]:
        """Let a canceled plan renew after all, until its period ends."""
        return document(_view(self._planning.resume(self._gate.actor, workspace_id)))

    def choose_card(self, workspace_id: WorkspaceId) -> Response[PlanView]:
        """Charge the next renewals to the default card of the payment portal."""
        return document(_view(self._planning.choose_card(self._gate.actor, workspace_id)))

    def invoices(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[PlanInvoiceView]]:
        """List the invoices of the workspace's plans, the newest first."""
        before = decode_cursor(cursor, tuple[datetime, str])
        rows = self._planning.invoices(workspace_id, before, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.created_at, row.id), _invoice))


def _view(plan: SeatPlan) -> PlanView:
    return PlanView.model_validate(plan)


def _invoice(invoice: PlanInvoice) -> PlanInvoiceView:
    return PlanInvoiceView.model_validate(invoice)
