"""Redeem coupons: as often as each may be, and once for a workspace."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opencode_cloud.billing.models.coupons import Coupon, coupon_exists, coupon_not_found, coupon_redeemed
from opencode_cloud.billing.models.errors import billing_off, invalid_amount
from opencode_cloud.billing.models.transactions import LedgerTransaction
from opencode_cloud.billing.service import drafts
from opencode_cloud.billing.service.double_entry import LARGEST
from opencode_cloud.contracts.audit import Target
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit import money
from opencode_cloud.kit.clock import utc_now

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.billing.service.booking import Booking
    from opencode_cloud.billing.store.coupons import CouponStore
    from opencode_cloud.contracts.actor import Actor


class Coupons:
    """Rules of coupons. Amounts are micro-cents."""

    def __init__(self, booking: Booking, store: CouponStore, audit: AuditTrail, *, enabled: bool = True) -> None:
        self._booking = booking
        self._store = store
        self._audit = audit
        self._enabled = enabled

    def create(
        self,
        actor: Actor,
        code: str,
        amount: int,
        most_uses: int,
        ends_at: datetime | None,
        reason: str,
        credit_days: int = 0,
    ) -> Coupon:
        """Make a coupon; the same terms again change nothing.

        Raises ``invalid_amount`` (422), or ``coupon_exists`` (409) for a code with other terms.
        """
        if not 0 < amount <= LARGEST or most_uses < 1 or credit_days < 0:
            raise invalid_amount("a coupon has a positive credit and at least one use")
        coupon = Coupon(
            code=code.upper(),
            amount=amount,
            most_uses=most_uses,
            ends_at=ends_at,
            credit_days=credit_days,
            reason=reason,
            created_by=actor.name,
            created_at=utc_now(),
        )
        with self._booking.unit() as unit:
            if self._store.add(unit.connection, coupon):
                target = Target("coupon", coupon.code, money.shown(amount))
                after = {"most_uses": most_uses, "credit_days": credit_days, "reason": reason}
                self._audit.record(unit.connection, actor, "coupon.created", target, after=after)
                return coupon
            known = self._store.lock(unit.connection, coupon.code)
        terms = (amount, most_uses, ends_at, credit_days)
        if known is None or (known.amount, known.most_uses, known.ends_at, known.credit_days) != terms:
            raise coupon_exists(coupon.code)
        return known

    def redeem(self, actor: Actor, workspace_id: WorkspaceId, code: str) -> LedgerTransaction:
        """Add the promotional credit of a coupon to a workspace, once.

        Raises ``billing_off`` (404), ``coupon_not_found`` (404) or ``coupon_redeemed`` (409).
        """
        if not self._enabled:
            raise billing_off()
        with self._booking.unit() as unit:
            # Under this lock, one redemption at a time counts the uses.
            coupon, now = self._store.lock(unit.connection, code.strip().upper()), utc_now()
            if coupon is None:
                raise coupon_not_found()
            end = now.replace(microsecond=0) + timedelta(days=coupon.credit_days) if coupon.credit_days else None
            draft = drafts.grant(workspace_id, coupon.amount, f"coupon:{coupon.code}", now, end)
            if self._booking.is_booked(unit, draft):
                raise coupon_redeemed()
            if coupon.uses >= coupon.most_uses or (coupon.ends_at is not None and now >= coupon.ends_at):
                raise coupon_not_found()
            self._store.use(unit.connection, coupon.code)
            (booked,) = self._booking.book(unit, self._booking.lock(unit, [workspace_id]), [draft])
            target = Target("ledger_transaction", booked.id, money.shown(coupon.amount))
            after = {"coupon": coupon.code}
            self._audit.record(
                unit.connection, actor, "coupon.redeemed", target, workspace_id=workspace_id, after=after
            )
            return booked
