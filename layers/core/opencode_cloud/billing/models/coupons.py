"""Coupons: codes that workspaces redeem for promotional credit."""

from __future__ import annotations

from datetime import datetime

import msgspec

from opencode_cloud.kit.errors import Conflict, NotFound


class Coupon(msgspec.Struct, frozen=True, kw_only=True):
    """A code, its credit in micro-cents, and how many workspaces may redeem it."""

    code: str
    """In upper case."""
    amount: int
    most_uses: int
    uses: int = 0
    ends_at: datetime | None = None
    """From when on it cannot be redeemed. None: never."""
    credit_days: int = 0
    """Days from its redemption until its credit ends; 0: the credit has no end."""
    reason: str
    created_by: str
    created_at: datetime


def coupon_not_found() -> NotFound:
    """Return the error for a code that does not exist, has ended, or was redeemed as often as it may be."""
    return NotFound("coupon_not_found", "There is no valid coupon with this code. Nothing was credited.")


def coupon_redeemed() -> Conflict:
    """Return the error for a code that the workspace has redeemed."""
    return Conflict("coupon_redeemed", "This workspace has redeemed this coupon already.")


def coupon_exists(code: str) -> Conflict:
    """Return the error for a code that exists with other terms."""
    return Conflict("coupon_exists", f"The coupon {code} exists with other terms. Choose another code.")
