"""Let the payers of a workspace start, cancel and resume its plan: a row first, then Stripe."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.ids import PlanId, WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.payments.models import CardView, StripeRefused, no_card, stripe_away
from opencode_cloud.payments.models.plans import (
    NextInvoice,
    PlanInvoice,
    PlanState,
    PlanTerms,
    SeatPlan,
    plan_exists,
    plan_not_found,
    plan_not_offered,
    plan_refused,
)

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.payments.models import Checkout
    from opencode_cloud.payments.service.plan_effects import PlanEffects
    from opencode_cloud.payments.service.plan_following import PlanFollowing
    from opencode_cloud.payments.service.seats import Seats
    from opencode_cloud.payments.service.topping_up import ToppingUp
    from opencode_cloud.payments.store.plans import PlanStore
    from opencode_cloud.payments.stripe_api import StripeApi
    from opencode_cloud.payments.stripe_plans import StripePlans


@contextmanager
def _refusals() -> Generator[None]:
    """Raise ``plan_refused`` (422) where Stripe refuses."""
    try:
        yield
    except StripeRefused as error:
        raise plan_refused(error.code) from error


class Planning:
    """Rules of people's commands. Amounts are micro-cents."""

    def __init__(
        self,
        outbox: Outbox,
        audit: AuditTrail,
        api: StripeApi,
        stripe: StripePlans,
        store: PlanStore,
        seats: Seats,
        topping_up: ToppingUp,
        effects: PlanEffects,
        following: PlanFollowing,
        terms: PlanTerms,
    ) -> None:
        self._outbox = outbox
        self._api = api
        self._stripe = stripe
        self._store = store
        self._seats = seats
        self._topping_up = topping_up
        self._effects = effects
        self._following = following
        self.terms = terms
        """The operator's terms of new plans."""
        self._audit = Recorder[SeatPlan](audit, "plan", lambda each: each.id, lambda _each: "")

    # ------------------------------------------------------------------------------------- reading

    def get(self, workspace_id: WorkspaceId) -> SeatPlan | None:
        """Return the plan of a workspace that began last; None without one."""
        with self._outbox.unit() as unit:
            return self._store.latest(unit.connection, workspace_id)

    def seats(self, workspace_id: WorkspaceId) -> int:
        """Return the number of members that need a seat."""
        with self._outbox.unit() as unit:
            return self._seats.count(unit.connection, workspace_id)

    def unpaid(self, plan: SeatPlan) -> PlanInvoice | None:
        """Return the oldest invoice of a plan that waits for its payment; None without one."""
        with self._outbox.unit() as unit:
            return self._store.unpaid(unit.connection, plan.id)

    def invoices(self, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int) -> list[PlanInvoice]:
        """Return the invoices of a workspace's plans, the newest first."""
        with self._outbox.unit() as unit:
            return self._store.invoices(unit.connection, workspace_id, before, limit)

    def next_invoice(self, plan: SeatPlan) -> NextInvoice | None:
        """Return the invoice of the next renewal; None if none follows. Raises ``stripe_unavailable`` (503)."""
        if not plan.runs or plan.ends_at is not None:
            return None
        try:
            return self._stripe.next_invoice(plan.subscription_id)
        except StripeRefused:
            return None

    def cards(self, plan: SeatPlan | None, workspace_id: WorkspaceId) -> tuple[CardView | None, CardView | None]:
        """Return the card that the plan is charged to, and the customer's default one, else the one saved last."""
        self._api.check()
        own = self._stripe.subscription(plan.subscription_id).card if plan and plan.runs else None
        return own, self._saved_card(self._topping_up.known_customer(workspace_id))

    # ------------------------------------------------------------------------------------- starting

    def begin(self, actor: Actor, workspace_id: WorkspaceId, base_url: str, return_url: str) -> tuple[SeatPlan, str]:
        """Open the checkout that starts a plan; return the plan, and the address of the page.

        Raises:
            payments_off: (404) The deployment has no account at Stripe.
            plan_not_offered: (404) The deployment sells no plan.
            plan_exists: (409) The workspace has a plan.
            plan_refused: (422) Stripe refused it.
            stripe_unavailable: (503) The result is unknown, or that of an earlier start by card is. Nothing is charged
                before the payer has confirmed.
        """
        plan = self._starting(actor, workspace_id, base_url)
        if plan.tried_at is not None:
            raise stripe_away()
        if plan.session_id:
            session = self._api.session(plan.session_id)
            if session.url:
                return plan, session.url
            plan = self._change(plan, session_id="", attempt=plan.attempt + 1)
        try:
            customer_id, price_id = self._topping_up.customer(workspace_id), self._price(plan)
            back = f"{return_url}?plan={plan.id}"
            checkout = self._stripe.open_checkout(plan, customer_id, price_id, back, return_url)
        except StripeRefused as error:
            self._change(plan, state=PlanState.ENDED, reason=error.code[:64])
            raise plan_refused(error.code) from error
        return self._keep_checkout(plan, checkout), checkout.url

    def begin_by_card(self, actor: Actor, workspace_id: WorkspaceId, base_url: str) -> SeatPlan:
        """Start a plan by the saved card, which is charged at once; return the plan as it is now.

        Raises the errors of :meth:`begin`, or ``no_card`` (409). After ``plan_refused`` nothing was charged. After
        ``stripe_unavailable`` the same call goes on, with the card that was asked first.
        """
        plan = self._starting(actor, workspace_id, base_url)
        customer_id = self._topping_up.known_customer(workspace_id)
        if not plan.card_id:
            card = self._saved_card(customer_id)
            if card is None:
                self._change(plan, state=PlanState.ENDED, reason="no_card")
                raise no_card()
            plan = self._begin_card(plan, card.id)
        if plan.session_id:
            # A page that is still open must not start a second subscription.
            self._close(plan)
            plan = self._change(plan, session_id="")
        try:
            subscription_id = self._stripe.start(plan, customer_id, self._price(plan), plan.card_id)
        except StripeRefused as error:
            self._change(plan, state=PlanState.ENDED, reason=error.decline[:64])
            raise plan_refused(error.decline) from error
        with _refusals():
            self._effects.refresh(subscription_id)
        return self._present(plan)

    def _price(self, plan: SeatPlan) -> str:
        return self._stripe.price(plan.seat_price, taxed=plan.taxed)

    def _keep_checkout(self, plan: SeatPlan, checkout: Checkout) -> SeatPlan:
        """Write the open page of a start; close it if the plan was started by card, or ended, meanwhile."""
        with self._outbox.unit() as unit:
            present = self._store.get(unit.connection, plan.id, lock=True)
            if present is not None and present.state is PlanState.STARTING and present.tried_at is None:
                self._store.change(unit.connection, plan.id, session_id=checkout.id)
                return msgspec.structs.replace(present, session_id=checkout.id)
        with _refusals():
            self._api.expire(checkout.id)
        raise stripe_away()

    def _saved_card(self, customer_id: str) -> CardView | None:
        """Return the customer's default card, else the one that was saved last; None without one."""
        return (self._api.card(customer_id) or self._api.newest_card(customer_id)) if customer_id else None

    def _begin_card(self, plan: SeatPlan, card_id: str) -> SeatPlan:
        """Write which card is asked; from then on no page is opened. Return the plan with the page that is open."""
        with self._outbox.unit() as unit:
            present = self._store.get(unit.connection, plan.id, lock=True)
            if present is None or present.state is not PlanState.STARTING:
                raise stripe_away()
            if not present.card_id:
                present = msgspec.structs.replace(present, tried_at=utc_now(), card_id=card_id)
                self._store.change(unit.connection, plan.id, tried_at=present.tried_at, card_id=card_id)
            return present

    def look_up(self, workspace_id: WorkspaceId, plan_id: PlanId) -> SeatPlan | None:
        """Return a plan from whose checkout a payer comes back, as Stripe says it is; None for an unknown one."""
        with self._outbox.unit() as unit:
            plan = self._store.get(unit.connection, plan_id)
        if plan is None or plan.workspace_id != workspace_id:
            return None
        if plan.state is PlanState.STARTING:
            self._following.look_up(plan)
        return self._present(plan)

    def _starting(self, actor: Actor, workspace_id: WorkspaceId, base_url: str) -> SeatPlan:
        """Return the plan of a workspace that is starting, which is written at the first time."""
        self._api.check()
        if not self.terms.is_offered:
            raise plan_not_offered()
        with self._outbox.unit() as unit:
            known = self._store.live(unit.connection, workspace_id)
        if known is not None and known.state is PlanState.STARTING and (known.session_id or known.tried_at):
            # It may be paid already, and its event is late.
            with _refusals():
                self._following.look_up(known)
        with self._outbox.unit() as unit:
            plan = self._store.live(unit.connection, workspace_id, lock=True)
            if plan is None:
                plan = self._new(workspace_id, self._seats.count(unit.connection, workspace_id), actor, base_url)
                if not self._store.add(unit.connection, plan):
                    raise plan_exists()
                terms = {name: getattr(plan, name) for name in ("seats", "seat_price", "seat_credit")}
                self._audit(unit, actor, "plan.begun", workspace_id, plan, after=terms)
            elif plan.state is not PlanState.STARTING:
                raise plan_exists()
            return plan

    def _new(self, workspace_id: WorkspaceId, seats: int, actor: Actor, base_url: str) -> SeatPlan:
        now = utc_now()
        return SeatPlan(
            id=PlanId(new_id("pln")),
            workspace_id=workspace_id,
            state=PlanState.STARTING,
            seat_price=self.terms.seat_price,
            seat_credit=self.terms.seat_credit,
            seats=seats,
            taxed=self.terms.taxed,
            base_url=base_url,
            created_by=actor.id,
            created_at=now,
            updated_at=now,
        )

    # ------------------------------------------------------------------------------------- changing

    def cancel(self, actor: Actor, workspace_id: WorkspaceId) -> SeatPlan:
        """Let a plan end with its period, and a start that is not finished at once.

        Seats that were added in the period are charged at its end. Raises ``plan_not_found`` (404), ``plan_refused``
        (422) or ``stripe_unavailable`` (503), also while the result of a start by card is unknown.
        """
        with self._outbox.unit() as unit:
            plan = self._store.live(unit.connection, workspace_id)
        if plan is not None and plan.state is PlanState.STARTING:
            return self._abandon(actor, plan)
        return self._set_end(actor, workspace_id, ends=True)

    def resume(self, actor: Actor, workspace_id: WorkspaceId) -> SeatPlan:
        """Let a plan renew that would end with its period; raises the errors of :meth:`cancel`."""
        return self._set_end(actor, workspace_id, ends=False)

    def choose_card(self, actor: Actor, workspace_id: WorkspaceId) -> SeatPlan:
        """Charge the next renewals to the customer's default card, else to the one that was saved last.

        Raises ``no_card`` (409), or the errors of :meth:`cancel`.
        """
        plan = self._running(workspace_id)
        with _refusals():
            _, saved = self.cards(plan, workspace_id)
        if saved is None:
            raise no_card()
        number = self._numbered(actor, plan, "plan.card_chosen", {"card": saved.last4})
        self._send(plan, partial(self._stripe.choose_card, plan, saved.id, number))
        return self._present(plan)

    def _set_end(self, actor: Actor, workspace_id: WorkspaceId, *, ends: bool) -> SeatPlan:
        plan = self._running(workspace_id)
        number = self._numbered(actor, plan, "plan.canceled" if ends else "plan.resumed", {"seats": plan.seats})
        self._send(plan, partial(self._stripe.set_end, plan, number, ends=ends))
        return self._present(plan)

    def _abandon(self, actor: Actor, plan: SeatPlan) -> SeatPlan:
        """End a start whose page is open. One that is paid by now is found, and can be canceled."""
        with _refusals():
            self._following.look_up(plan)
        present = self._present(plan)
        if present.state is PlanState.STARTING:
            if present.tried_at is None:
                self._close(present)
            self._end_start(actor, plan)
        return self._present(plan)

    def _end_start(self, actor: Actor, plan: SeatPlan) -> None:
        """Write the end of a start, unless it has been paid. Raises ``stripe_unavailable`` if the card was asked."""
        with self._outbox.unit() as unit:
            present = self._store.get(unit.connection, plan.id, lock=True)
            if present is None or present.state is not PlanState.STARTING:
                return
            if present.tried_at is not None:
                raise stripe_away()
            self._audit(unit, actor, "plan.canceled", plan.workspace_id, plan)
            self._store.change(unit.connection, plan.id, state=PlanState.ENDED, reason="canceled")

    def _close(self, plan: SeatPlan) -> None:
        """End the open page of a start; raises ``plan_refused`` (422) if it is paid meanwhile."""
        if plan.session_id:
            with _refusals():
                self._api.expire(plan.session_id)

    def _running(self, workspace_id: WorkspaceId) -> SeatPlan:
        with self._outbox.unit() as unit:
            plan = self._store.live(unit.connection, workspace_id)
        if plan is None or not plan.subscription_id:
            raise plan_not_found()
        return plan

    def _numbered(self, actor: Actor, plan: SeatPlan, action: str, facts: dict[str, object]) -> int:
        """Record a command, and return its number, which makes its idempotency key new."""
        with self._outbox.unit() as unit:
            locked = self._store.get(unit.connection, plan.id, lock=True) or plan
            self._store.change(unit.connection, plan.id, changes=locked.changes + 1)
            self._audit(unit, actor, action, plan.workspace_id, plan, after=facts)
            return locked.changes + 1

    def _send(self, plan: SeatPlan, change: partial[None]) -> None:
        with _refusals():
            change()
            self._effects.refresh(plan.subscription_id)

    def _change(self, plan: SeatPlan, **values: object) -> SeatPlan:
        with self._outbox.unit() as unit:
            self._store.change(unit.connection, plan.id, **values)
        return msgspec.structs.replace(plan, **values)

    def _present(self, plan: SeatPlan) -> SeatPlan:
        with self._outbox.unit() as unit:
            return self._store.get(unit.connection, plan.id) or plan
