"""`/api/v1/workspaces/{workspace}/top-ups`: buy credit, and see what became of it."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from opencode_cloud.contracts.ids import PaymentId, TopUpId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.instants import Instant
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.payments.models import TopUp, TopUpState

if TYPE_CHECKING:
    from opencode_cloud.payments.service.topping_up import ToppingUp

TAG = "Payments"
LARGEST = 10**15


class NewTopUp(ApiModel):
    """Credit to buy."""

    credit: int = Field(ge=1, le=LARGEST, description="In micro-cents: a dollar is 100,000,000. Whole cents.")


class TopUpView(ApiModel):
    """A purchase of credit."""

    id: TopUpId
    credit: int = Field(description="The amount for the balance, in micro-cents.")
    fee: int = Field(description="The processing fee on top, in micro-cents.")
    tax: int = Field(description="The tax on top, in micro-cents. Stripe computes it with the payment.")
    currency: str
    state: TopUpState = Field(
        description="`pending`: the payment is on its way, such as a bank debit. Only `paid` credit is in the balance."
    )
    reason: str = Field(description="The bank's code of the last refusal; empty without one.")
    payment_id: PaymentId
    created_at: Instant


class OpenedTopUp(TopUpView):
    """A new purchase, and the page on which it is paid."""

    checkout_url: str = Field(description="Send the payer there. It ends after a day.")


class Portal(ApiModel):
    """The page on which a payer changes cards."""

    url: str


class TopUpRoutes:
    """Routes of top-ups."""

    def __init__(self, topping_up: ToppingUp, gate: Gate, public_url: str) -> None:
        self._topping_up = topping_up
        self._gate = gate
        self._public_url = public_url

    def mount(self) -> None:
        """Add every route to the gate's app."""
        gate = self._gate
        all_, read, manage = f"{WORKSPACE}/top-ups", Permission.BILLING_READ, Permission.BILLING_MANAGE
        gate.add(f"GET {all_}", self.list, read, "List top-ups", TAG)
        gate.add(f"POST {all_}", self.create, manage, "Buy credit", TAG, HTTPStatus.CREATED)
        gate.add(f"GET {all_}/<top_up_id>", self.get, read, "Read a top-up", TAG)
        gate.add(f"POST {WORKSPACE}/payment-portal", self.portal, manage, "Open the payment portal", TAG)

    def list(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[TopUpView]]:
        """List purchases of credit, the newest first."""
        before = decode_cursor(cursor, tuple[datetime, str])
        rows = self._topping_up.of_workspace(workspace_id, before, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.created_at, row.id), _view))

    def create(self, workspace_id: WorkspaceId, body: NewTopUp) -> Response[OpenedTopUp]:
        """Begin a purchase, and return the address of the page on which it is paid.

        The balance changes when the payment is booked, and not before: read the top-up, or wait for the payer to come
        back. Send an `Idempotency-Key`, so that a repeated request opens one page.
        """
        top_up, checkout = self._topping_up.begin(self._gate.actor, workspace_id, body.credit, self._back(workspace_id))
        opened = OpenedTopUp(checkout_url=checkout.url, **_view(top_up).model_dump())
        return document(opened, HTTPStatus.CREATED)

    def get(self, workspace_id: WorkspaceId, top_up_id: TopUpId) -> Response[TopUpView]:
        """Read one purchase."""
        return document(_view(self._topping_up.get(workspace_id, top_up_id)))

    def portal(self, workspace_id: WorkspaceId) -> Response[Portal]:
        """Return the address of the page on which the payer changes cards."""
        return document(Portal(url=self._topping_up.portal(workspace_id, self._back(workspace_id))))

    def _back(self, workspace_id: WorkspaceId) -> str:
        return f"{http_events.base_url(self._gate.event, self._public_url)}/console/{workspace_id}/payments"


def _view(top_up: TopUp) -> TopUpView:
    return TopUpView.model_validate(top_up)
