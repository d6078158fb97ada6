"""Keep plans and Stripe in step: seats, renewals that are due, starts without an answer. Each step may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.log import count, logger
from opencode_cloud.payments.models import StripeRefused
from opencode_cloud.payments.models.plans import NOT_STARTED, PlanState, PlanTerms, SeatPlan
from opencode_cloud.payments.service.reloading import LOOKED_UP_AFTER

if TYPE_CHECKING:
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.payments.service.plan_effects import PlanEffects
    from opencode_cloud.payments.service.plan_notices import PlanNotices
    from opencode_cloud.payments.service.seats import Seats
    from opencode_cloud.payments.service.second_subscriptions import SecondSubscriptions
    from opencode_cloud.payments.store.plans import PlanStore
    from opencode_cloud.payments.store.top_ups import TopUpStore
    from opencode_cloud.payments.stripe_api import StripeApi
    from opencode_cloud.payments.stripe_plans import StripePlans

CHECKED_AFTER = timedelta(days=1)
"""Age of a state after which the sweep reads it again."""
BATCH = 200


class PlanFollowing:
    """Sends seats to Stripe, and does what time asks for."""

    def __init__(
        self,
        outbox: Outbox,
        api: StripeApi,
        stripe: StripePlans,
        store: PlanStore,
        customers: TopUpStore,
        effects: PlanEffects,
        notices: PlanNotices,
        seats: Seats,
        terms: PlanTerms,
        seconds: SecondSubscriptions,
    ) -> None:
        self._outbox = outbox
        self._api = api
        self._stripe = stripe
        self._store = store
        self._customers = customers
        self._effects = effects
        self._notices = notices
        self._seats = seats
        self._terms = terms
        self._seconds = seconds

    def set_seats(self, workspace_id: WorkspaceId) -> None:
        """Send the present number of seats to Stripe, if it has another one.

        The number is absolute, so a message that comes twice changes nothing. If Stripe gets two numbers in the wrong
        order, the event of the last one leads here again.

        Raises ``stripe_unavailable`` (503); a repetition is safe.
        """
        with self._outbox.unit() as unit:
            plan = self._store.live(unit.connection, workspace_id, lock=True)
            if plan is None or plan.state is PlanState.STARTING:
                return
            seats, number = self._seats.count(unit.connection, workspace_id), plan.changes + 1
            if seats == plan.seats:
                return
            self._store.change(unit.connection, plan.id, changes=number)
        self._stripe.set_seats(plan, seats, number)
        self._effects.refresh(plan.subscription_id)

    def look_up(self, plan: SeatPlan) -> None:
        """Find out what became of a plan that is starting, as its events would tell.

        Raises ``stripe_unavailable`` (503), or StripeRefused.
        """
        with self._outbox.unit() as unit:
            customer_id = self._customers.customer(unit.connection, plan.workspace_id)
        subscription_id = plan.subscription_id
        if not subscription_id and plan.session_id:
            subscription_id = self._look_up_session(plan)
        if not subscription_id and plan.tried_at is not None:
            subscription_id = self._stripe.subscription_for(customer_id, plan)
        if subscription_id:
            self._effects.refresh(subscription_id)

    def _look_up_session(self, plan: SeatPlan) -> str:
        """Apply the checkout of a plan, and return its subscription; empty without one."""
        try:
            session = self._api.session(plan.session_id)
        except StripeRefused as error:
            if error.code != "resource_missing":
                raise
            with self._outbox.unit() as unit:
                self._store.change(unit.connection, plan.id, session_id="")
            return ""
        self._effects.run(lambda: self._effects.of_session(session))
        return session.subscription_id

    def sweep(self) -> int:
        """Do what is due for second subscriptions and every plan that has not ended; return the number of both."""
        number, after = self._seconds.sweep(), ""
        while True:
            with self._outbox.unit() as unit:
                found = self._store.all_live(unit.connection, after, BATCH)
            for plan in found:
                self._each(plan)
            if not found:
                return number
            number, after = number + len(found), found[-1].id

    def _each(self, plan: SeatPlan) -> None:
        """Do the steps of one plan. One bad plan must not keep the others from going on."""
        steps: tuple[Callable[[SeatPlan], None], ...] = (
            (self._continue_start,)
            if plan.state is PlanState.STARTING
            else (self._read_again, self._end_of_deleted, self._follow_members, self._announce)
        )
        for step in steps:
            try:
                step(plan)
            except Exception:  # noqa: BLE001 - logged, counted, and tried again in an hour
                count("PlanFailed")
                logger.exception("a plan did not go on", extra={"plan": plan.id})

    def _continue_start(self, plan: SeatPlan) -> None:
        """Look up a start that is not finished. One that reached neither Checkout nor a card ends."""
        if plan.created_at > utc_now() - LOOKED_UP_AFTER:
            return
        self.look_up(plan)
        with self._outbox.unit() as unit:
            present = self._store.get(unit.connection, plan.id, lock=True)
            if present is not None and _never_began(present):
                self._store.change(unit.connection, plan.id, state=PlanState.ENDED, reason=NOT_STARTED)

    def _read_again(self, plan: SeatPlan) -> None:
        now = utc_now()
        is_due = plan.period_end is not None and plan.period_end <= now
        is_old = plan.checked_at is None or plan.checked_at <= now - CHECKED_AFTER
        if is_due or is_old or plan.state is PlanState.PAST_DUE:
            self._effects.refresh(plan.subscription_id)

    def _end_of_deleted(self, plan: SeatPlan) -> None:
        """Let the plan of a deleted workspace end with its period."""
        with self._outbox.unit() as unit:
            present = self._store.get(unit.connection, plan.id, lock=True)
            is_deleted = self._store.workspace_name(unit.connection, plan.workspace_id) is None
            if present is None or not is_deleted or present.ends_at is not None:
                return
            number = present.changes + 1
            self._store.change(unit.connection, plan.id, changes=number)
        self._stripe.set_end(present, number, ends=True)
        self._effects.refresh(plan.subscription_id)

    def _follow_members(self, plan: SeatPlan) -> None:
        self.set_seats(plan.workspace_id)

    def _announce(self, plan: SeatPlan) -> None:
        """Tell of the next renewal, once for each period."""
        with self._outbox.unit() as unit:
            known = self._store.get(unit.connection, plan.id)
        if known is None or not self._is_to_announce(known):
            return
        found, due = self._stripe.subscription(known.subscription_id), self._stripe.next_invoice(known.subscription_id)
        with self._outbox.unit() as unit:
            present = self._store.get(unit.connection, plan.id, lock=True)
            if present is None or not self._is_to_announce(present) or present.period_end != found.period_end:
                return
            self._notices.renewal(unit, present, found, due)
            self._store.change(unit.connection, plan.id, noticed_for=present.period_end)

    def _is_to_announce(self, plan: SeatPlan) -> bool:
        renews = plan.runs and plan.ends_at is None
        if not renews or plan.period_end is None or plan.noticed_for == plan.period_end:
            return False
        return plan.period_end <= utc_now() + timedelta(days=self._terms.notice_days)


def _never_began(plan: SeatPlan) -> bool:
    """Tell whether a start can reach Stripe no more: its process has ended, and its key may be forgotten."""
    if plan.state is not PlanState.STARTING or plan.subscription_id or plan.session_id:
        return False
    return plan.tried_at is None or plan.tried_at <= utc_now() - timedelta(days=1)
