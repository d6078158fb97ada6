"""`/api/v1/workspaces/{workspace}/members/{member}/limits`: the limits of a member's calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.budgets.models.documents import MemberLimits
from opencode_cloud.contracts.ids import MemberId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_responses import document

if TYPE_CHECKING:
    from opencode_cloud.budgets.service.effective_limits import EffectiveLimits

TAG = "Budgets"


class LimitRoutes:
    """Routes of effective limits."""

    def __init__(self, limits: EffectiveLimits, gate: Gate) -> None:
        self._limits = limits
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        route = f"GET {WORKSPACE}/members/<member_id>/limits"
        self._gate.add(route, self.of_member, Permission.BUDGET_OWN, "Explain the limits of a member", TAG)

    def of_member(self, workspace_id: WorkspaceId, member_id: MemberId) -> Response[MemberLimits]:
        """Return every budget that counts the calls of a member, and the rules for the member's models.

        They are what the gateway applies at this moment. Calls with a key, of a project or of a session can have
        further limits. Limits of other members need `budget:read`: without it they are not found, and amounts of the
        whole workspace are null.
        """
        return document(self._limits.of_member(self._gate.actor, workspace_id, member_id))
