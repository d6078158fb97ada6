"""`POST /api/v1/workspaces/{workspace}/billing/coupons`: redeem a coupon."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response
from pydantic import Field

from opencode_cloud.billing.models.documents import MoneyMovement
from opencode_cloud.billing.service.reading import movement_of
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.api_responses import document

if TYPE_CHECKING:
    from opencode_cloud.billing.service.coupons import Coupons

TAG = "Billing"


class RedeemedCoupon(ApiModel):
    """A coupon to redeem."""

    code: str = Field(min_length=1, max_length=32, description="In any case.")


class CouponRoutes:
    """Routes of coupons."""

    def __init__(self, coupons: Coupons, gate: Gate) -> None:
        self._coupons = coupons
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        path, manage = f"{WORKSPACE}/billing/coupons", Permission.BILLING_MANAGE
        self._gate.add(f"POST {path}", self.redeem, manage, "Redeem a coupon", TAG, HTTPStatus.CREATED)

    def redeem(self, workspace_id: WorkspaceId, body: RedeemedCoupon) -> Response[MoneyMovement]:
        """Add the promotional credit of a coupon to the balance. A workspace redeems a coupon once."""
        booked = self._coupons.redeem(self._gate.actor, workspace_id, body.code)
        return document(movement_of(booked), HTTPStatus.CREATED)
