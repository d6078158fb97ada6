"""`/api/v1/workspaces/{workspace}/auto-reload`: buy credit by the saved card when the balance is low."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from opencode_cloud.contracts.ids import TopUpId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.instants import Instant
from opencode_cloud.payments.models import OFF, AutoReload, ReloadState, ReloadTerms

if TYPE_CHECKING:
    from opencode_cloud.payments.service.reload_settings import ReloadSettings

TAG = "Payments"
LARGEST = 10**15


class AutoReloadTerms(ApiModel):
    """Automatic reloads, as a workspace wants them. Amounts are micro-cents, in whole cents."""

    enabled: bool
    threshold: int = Field(ge=1, le=LARGEST, description="A reload begins when the balance is below.")
    amount: int = Field(ge=1, le=LARGEST, description="The credit of one reload. A larger debt is covered at once.")
    day_cap: int | None = Field(default=None, ge=1, le=LARGEST, description="The most in a UTC day; null: no cap.")
    month_cap: int | None = Field(default=None, ge=1, le=LARGEST, description="The most in a UTC month; null: no cap.")


class AutoReloadView(AutoReloadTerms):
    """Automatic reloads, and their state."""

    state: ReloadState = Field(
        description="`action_required`: the bank asks for the card's owner. `stopped`: a new card, or a retry, resumes."
    )
    reason: str = Field(description="The bank's code, or ours, of a state other than `idle`.")
    top_up_id: TopUpId = Field(description="The running purchase; empty without one.")
    next_at: Instant | None = Field(description="When the next attempt is due.")


class PaymentPage(ApiModel):
    """The page on which a payment goes on."""

    url: str


class AutoReloadRoutes:
    """Routes of automatic reloads."""

    def __init__(self, settings: ReloadSettings, gate: Gate, public_url: str) -> None:
        self._settings = settings
        self._gate = gate
        self._public_url = public_url

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, root = self._gate.add, f"{WORKSPACE}/auto-reload"
        manage = Permission.BILLING_MANAGE
        add(f"GET {root}", self.get, Permission.BILLING_READ, "Read the automatic reloads", TAG)
        add(f"PUT {root}", self.put, manage, "Set the automatic reloads", TAG)
        add(f"POST {root}/retry", self.retry, manage, "Resume stopped reloads", TAG, HTTPStatus.ACCEPTED)
        add(f"POST {root}/finish", self.finish, manage, "Finish a reload that waits for the card's owner", TAG)

    def get(self, workspace_id: WorkspaceId) -> Response[AutoReloadView]:
        """Read the automatic reloads. Those that were never set are off."""
        return document(_view(self._settings.get(workspace_id)))

    def put(self, workspace_id: WorkspaceId, body: AutoReloadTerms) -> Response[AutoReloadView]:
        """Set the automatic reloads. They charge the default card of the payment portal, and no other one."""
        terms = ReloadTerms(**body.model_dump())
        return document(_view(self._settings.change(self._gate.actor, workspace_id, terms, self._base())))

    def retry(self, workspace_id: WorkspaceId) -> Response[AutoReloadView]:
        """Resume reloads that have stopped. The next charge begins within seconds, if the balance is low."""
        self._settings.retry(self._gate.actor, workspace_id)
        return document(_view(self._settings.get(workspace_id)), HTTPStatus.ACCEPTED)

    def finish(self, workspace_id: WorkspaceId) -> Response[PaymentPage]:
        """Return the page on which the card's owner pays a reload that waits for them."""
        back = f"{self._base()}/console/{workspace_id}/payments"
        return document(PaymentPage(url=self._settings.finish(self._gate.actor, workspace_id, back)))

    def _base(self) -> str:
        return http_events.base_url(self._gate.event, self._public_url)


def _view(reload: AutoReload | None) -> AutoReloadView:
    terms = reload.terms if reload else OFF
    own = {name: getattr(terms, name) for name in AutoReloadTerms.model_fields}
    if reload is None:
        return AutoReloadView(**own, state=ReloadState.IDLE, reason="", top_up_id=TopUpId(""), next_at=None)
    return AutoReloadView(
        **own, state=reload.state, reason=reload.reason, top_up_id=reload.top_up_id, next_at=reload.next_at
    )
