"""Charge the saved card when a balance is low: one charge for each lease, whatever dies in between.

A lease is taken by the transaction that saw the balance fall (:mod:`reload_trigger`). It ends by the state of the
payment at Stripe, by a definite refusal, or by a person, and never by time alone. Each step may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.billing.models.accounts import USD
from opencode_cloud.contracts.ids import PaymentId, TopUpId, WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError, Unavailable
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import count, logger
from opencode_cloud.kit.money import CENT
from opencode_cloud.payments.models import (
    AMOUNT_OVER_LIMIT,
    AUTHENTICATION,
    DAY_CAP,
    DEBT_OVER_LIMIT,
    MONTH_CAP,
    NO_CARD,
    NOT_FINISHED,
    TAX_LOCATION,
    TAX_REFUSED,
    AutoReload,
    ReloadState,
    StripeRefused,
    TopUp,
    TopUpKind,
    TopUpState,
)
from opencode_cloud.payments.service.reload_ends import STORM, SUSPECT

if TYPE_CHECKING:
    from opencode_cloud.billing.service.reading import BillingReader
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.payments.service.effects import Effects
    from opencode_cloud.payments.service.reload_ends import ReloadEnds
    from opencode_cloud.payments.service.reload_trigger import ReloadTrigger
    from opencode_cloud.payments.service.topping_up import SaleTerms
    from opencode_cloud.payments.store.auto_reloads import AutoReloadStore
    from opencode_cloud.payments.store.top_ups import TopUpStore
    from opencode_cloud.payments.stripe_api import StripeApi

RETRIES = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=16))
"""Pauses after declined attempts. After the last attempt the reloads stop."""
LOOKED_UP_AFTER = timedelta(minutes=15)
"""Age of a charge without a result after which the sweep continues it."""
KEY_KEPT = timedelta(hours=20)
"""Stripe keeps idempotency keys for 24 hours at least. A later repetition asks for the payment first."""
ANSWERED_WITHIN = timedelta(days=7)
"""Time for the owner of the card to confirm."""
FINAL = frozenset(
    {
        "card_not_supported",
        "currency_not_supported",
        "expired_card",
        "fraudulent",
        "incorrect_number",
        "invalid_account",
        "invalid_number",
        "lost_card",
        "pickup_card",
        "resource_missing",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stolen_card",
        "stop_payment_order",
    }
)
"""Codes of declines that no repetition changes (https://docs.stripe.com/declines/codes)."""
BATCH = 200


class Reloading:
    """Charges leases that were taken. Amounts are micro-cents."""

    def __init__(
        self,
        outbox: Outbox,
        api: StripeApi,
        effects: Effects,
        reader: BillingReader,
        reloads: AutoReloadStore,
        top_ups: TopUpStore,
        trigger: ReloadTrigger,
        ends: ReloadEnds,
        terms: SaleTerms,
    ) -> None:
        self._outbox = outbox
        self._api = api
        self._effects = effects
        self._reader = reader
        self._reloads = reloads
        self._top_ups = top_ups
        self._trigger = trigger
        self._ends = ends
        self._terms = terms

    def run(self, workspace_id: WorkspaceId) -> None:
        """Continue the reload of a workspace: take a lease that is due, charge a lease that is held.

        Raises ``stripe_unavailable`` (503) if the result is unknown; a repetition charges nothing twice.
        """
        self.check([workspace_id])
        begun = self._begin(workspace_id)
        if begun is None:
            return
        try:
            self._charge(*begun)
        except Unavailable:
            # A repetition of the message goes on at once.
            with self._outbox.unit() as unit:
                self._reloads.keep(unit.connection, workspace_id, next_at=utc_now())
            raise

    def check(self, workspace_ids: Sequence[WorkspaceId]) -> None:
        """Take the lease of each workspace whose balance is below its threshold."""
        available = {each: self._reader.balance(each).available for each in workspace_ids}
        with self._outbox.unit() as unit:
            self._trigger.watch(unit, available)

    def sweep(self) -> int:
        """Continue what is due, end what waits for too long, and find crossings that were missed; return the number."""
        now = utc_now()
        with self._outbox.unit() as unit:
            due = self._reloads.due(unit.connection, now, BATCH)
            waiting = self._reloads.waiting(unit.connection, now - ANSWERED_WITHIN, BATCH)
        for each in waiting:
            self._each(each.workspace_id, partial(self._give_up, each))
        for each in due:
            self._each(each.workspace_id, partial(self._resume, each))
        self._check_idle()
        return len(due) + len(waiting)

    def _check_idle(self) -> None:
        after = ""
        while True:
            with self._outbox.unit() as unit:
                idle = self._reloads.idle(unit.connection, after, BATCH)
            if not idle:
                return
            self.check([each.workspace_id for each in idle])
            after = idle[-1].workspace_id

    def _each(self, workspace_id: WorkspaceId, step: Callable[[], None]) -> None:
        """Do a step of the sweep. One bad reload must not keep the others from going on."""
        try:
            step()
        except (StripeRefused, ServiceError) as error:
            count("ReloadFailed")
            logger.exception("a reload did not go on", extra={"workspace": workspace_id, "code": error.code})

    def _resume(self, reload: AutoReload) -> None:
        if reload.state is ReloadState.STOPPED:
            # It had stopped until this time, by a cap.
            with self._outbox.unit() as unit:
                locked = self._reloads.get(unit.connection, reload.workspace_id, lock=True)
                if locked is not None and locked.state is ReloadState.STOPPED:
                    self._reloads.move(unit.connection, reload.workspace_id, ReloadState.IDLE, reason="", next_at=None)
        self.run(reload.workspace_id)

    # ------------------------------------------------------------------------------------- one lease

    def _begin(self, workspace_id: WorkspaceId) -> tuple[AutoReload, TopUp] | None:
        """Return the lease and its purchase, which is made at the first time; None if there is nothing to charge."""
        with self._outbox.unit() as unit:
            reload = self._reloads.get(unit.connection, workspace_id, lock=True)
            if reload is None or reload.state is not ReloadState.CHARGING:
                return None
            now = utc_now()
            if reload.top_up_id:
                top_up = self._top_ups.get(unit.connection, reload.top_up_id)
                if top_up is None or (reload.next_at is not None and reload.next_at > now):
                    return None
            else:
                top_up = self._purchase(unit, reload, now)
            if top_up is None:
                return None
            if top_up.tried_at is None:
                self._top_ups.change(unit.connection, top_up.id, tried_at=now)
                top_up = msgspec.structs.replace(top_up, tried_at=now)
            # The sweep continues what dies from here on.
            self._reloads.keep(unit.connection, workspace_id, next_at=now + LOOKED_UP_AFTER)
            return reload, top_up

    def _purchase(self, unit: UnitOfWork, reload: AutoReload, now: datetime) -> TopUp | None:
        """Write the purchase of a lease; None if it is needed no more, or not allowed."""
        connection, workspace_id, terms = unit.connection, reload.workspace_id, reload.terms
        expected = self._reader.balance(workspace_id).available + self._reloads.on_its_way(connection, workspace_id)
        if not terms.enabled or expected >= terms.threshold:
            self._reloads.move(connection, workspace_id, ReloadState.IDLE, reason="", next_at=None)
            return None
        # One charge passes the threshold, so that a debt does not cause one charge after another.
        credit = max(terms.amount, -((expected - terms.threshold) // CENT) * CENT)
        if stopped := self._not_allowed(unit, reload, credit, now):
            reason, until = stopped
            self._ends.stop(unit, reload, reason, until=until)
            return None
        top_up = TopUp(
            id=TopUpId(new_id("top")),
            workspace_id=workspace_id,
            credit=credit,
            fee=self._terms.fees.of(credit // CENT) * CENT,
            currency=USD,
            state=TopUpState.OPEN,
            created_at=now,
            updated_at=now,
            kind=TopUpKind.RELOAD,
            taxed=self._terms.taxed,
        )
        self._top_ups.add(connection, top_up)
        self._reloads.keep(connection, workspace_id, top_up_id=top_up.id)
        _, recent = self._reloads.reloaded(connection, workspace_id, now - SUSPECT)
        if recent >= STORM:
            count("ReloadStorm")
            logger.error("a workspace reloads often", extra={"workspace": workspace_id, "within_an_hour": recent})
        return top_up

    def _not_allowed(
        self, unit: UnitOfWork, reload: AutoReload, credit: int, now: datetime
    ) -> tuple[str, datetime | None] | None:
        terms, midnight = reload.terms, now.replace(hour=0, minute=0, second=0, microsecond=0)
        if not self._terms.least <= terms.amount <= self._terms.most:
            return AMOUNT_OVER_LIMIT, None
        if credit > self._terms.most:
            return DEBT_OVER_LIMIT, None
        first = midnight.replace(day=1)
        caps = [
            (terms.day_cap, midnight, DAY_CAP, midnight + timedelta(days=1)),
            (terms.month_cap, first, MONTH_CAP, (first + timedelta(days=32)).replace(day=1)),
        ]
        for cap, since, reason, until in caps:
            if cap is not None:
                reloaded, _ = self._reloads.reloaded(unit.connection, reload.workspace_id, since)
                if reloaded + credit > cap:
                    return reason, until
        return None

    def _charge(self, reload: AutoReload, top_up: TopUp) -> None:
        """Charge a purchase, or find out what became of an earlier attempt."""
        with self._outbox.unit() as unit:
            customer_id = self._top_ups.customer(unit.connection, reload.workspace_id)
        payment_id = top_up.payment_id
        if not payment_id and top_up.tried_at is not None and utc_now() - top_up.tried_at > KEY_KEPT:
            payment_id = self._api.payment_for(customer_id, top_up)
            # Stripe may have forgotten the key of this attempt, and has no payment: use the next key.
            top_up = self._remember(top_up, payment_id, new_key=not payment_id)
        if payment_id and self._api.payment(payment_id).status in ("succeeded", "processing"):
            self._apply(payment_id)
            return
        card = self._api.card(customer_id) if customer_id else None
        if card is None:
            self._fail(top_up, NO_CARD)
            return
        with self._outbox.unit() as unit:
            self._reloads.keep(unit.connection, reload.workspace_id, method_id=card.id)
        taxed = self._with_tax(top_up, customer_id)
        if taxed is None:
            return
        try:
            payment_id = self._api.charge(taxed, customer_id, card.id)
        except StripeRefused as error:
            self._declined(top_up, error)
        else:
            self._apply(payment_id)

    def _with_tax(self, top_up: TopUp, customer_id: str) -> TopUp | None:
        """Return the purchase with its tax, which is computed once; None if Stripe refuses, which ends the reload."""
        if not top_up.taxed or top_up.calculation_id or top_up.payment_id:
            return top_up
        try:
            found = self._api.tax_on(top_up, customer_id)
        except StripeRefused as error:
            logger.warning("Stripe did not compute the tax", extra={"top_up": top_up.id, "code": error.code})
            self._fail(top_up, TAX_LOCATION if error.code == TAX_LOCATION else TAX_REFUSED)
            return None
        values = {"tax": found.tax * CENT, "calculation_id": found.id}
        # It is written before the charge, so each attempt asks for the same amount.
        with self._outbox.unit() as unit:
            self._top_ups.change(unit.connection, top_up.id, **values)
        return msgspec.structs.replace(top_up, **values)

    def _remember(self, top_up: TopUp, payment_id: PaymentId, *, new_key: bool) -> TopUp:
        attempt, now = top_up.attempt + new_key, utc_now()
        with self._outbox.unit() as unit:
            changed = {"payment_id": payment_id, "attempt": attempt, "tried_at": now}
            self._top_ups.change(unit.connection, top_up.id, **changed)
        return msgspec.structs.replace(top_up, payment_id=payment_id, attempt=attempt, tried_at=now)

    def _apply(self, payment_id: PaymentId) -> None:
        """Book the payment as its webhook would, which may come before, after, or never."""
        effect = self._effects.of_payment(payment_id)
        with self._outbox.unit() as unit:
            effect(unit)

    def _declined(self, tried: TopUp, error: StripeRefused) -> None:
        """Record a definite refusal of one attempt, once."""
        with self._outbox.unit() as unit:
            top_up = self._top_ups.get(unit.connection, tried.id, lock=True)
            reload = self._reloads.get(unit.connection, tried.workspace_id, lock=True)
            if top_up is None or reload is None or reload.top_up_id != tried.id or top_up.attempt != tried.attempt:
                return
            values = {"attempt": top_up.attempt + 1, "tried_at": None, "reason": error.decline[:64]}
            if error.payment_id:
                values["payment_id"] = error.payment_id
            self._top_ups.change(unit.connection, top_up.id, **values)
            if AUTHENTICATION in (error.code, error.decline):
                self._ends.ask(unit, reload, top_up)
                return
            is_last = top_up.attempt >= len(RETRIES) or {error.code, error.decline} & FINAL
            if is_last or not reload.terms.enabled:
                self._top_ups.change(unit.connection, top_up.id, state=TopUpState.FAILED)
                self._ends.failed(unit, top_up, error.decline[:64])
                return
            due = utc_now() + RETRIES[top_up.attempt]
            self._reloads.keep(unit.connection, reload.workspace_id, next_at=due, reason=error.decline[:64])

    def _fail(self, tried: TopUp, reason: str) -> None:
        """End a purchase that cannot be charged."""
        with self._outbox.unit() as unit:
            top_up = self._top_ups.get(unit.connection, tried.id, lock=True)
            if top_up is not None and top_up.state is TopUpState.OPEN:
                self._top_ups.change(unit.connection, top_up.id, state=TopUpState.FAILED, reason=reason)
                self._ends.failed(unit, top_up, reason)

    def _give_up(self, reload: AutoReload) -> None:
        """End a reload that its card's owner did not confirm. It cannot be paid afterwards."""
        with self._outbox.unit() as unit:
            top_up = self._top_ups.get(unit.connection, reload.top_up_id)
        if top_up is not None and self.void(top_up):
            self._fail(top_up, NOT_FINISHED)

    def void(self, top_up: TopUp) -> bool:
        """Make sure that the present checkout and payment of a purchase are never paid; False if they are paid.

        A payment that succeeded or is on its way is booked.
        """
        payment_id = top_up.payment_id
        if top_up.session_id:
            session = self._api.session(top_up.session_id)
            payment_id = session.payment_id
            if session.status == "open":
                self._api.expire(session.id)
        if payment_id:
            status = self._api.payment(payment_id).status
            if status in ("succeeded", "processing"):
                self._apply(payment_id)
                return False
            if status != "canceled":
                self._api.cancel(payment_id)
        return True
