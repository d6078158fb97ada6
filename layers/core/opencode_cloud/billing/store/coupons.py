"""Coupons in MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select, update

from opencode_cloud.billing.models.coupons import Coupon
from opencode_cloud.schema.billing import coupons

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection


class CouponStore:
    """The table ``coupons``. Its rows are locked before accounts."""

    def lock(self, connection: Connection, code: str) -> Coupon | None:
        """Lock a coupon and return it; None if there is none."""
        row = connection.execute(select(coupons).where(coupons.c.code == code).with_for_update()).mappings().first()
        return msgspec.convert({name: row[name] for name in Coupon.__struct_fields__}, Coupon) if row else None

    def add(self, connection: Connection, coupon: Coupon) -> bool:
        """Write a coupon; return False if its code exists."""
        statement = coupons.insert().prefix_with("IGNORE")
        return bool(connection.execute(statement, msgspec.structs.asdict(coupon)).rowcount)

    def use(self, connection: Connection, code: str) -> None:
        """Count a redemption of a locked coupon."""
        connection.execute(update(coupons).where(coupons.c.code == code).values(uses=coupons.c.uses + 1))
