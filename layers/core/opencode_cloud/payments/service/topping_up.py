"""Sell credit: a row first, then Stripe, so that a process that dies in between leaves a trace and no charge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from opencode_cloud.audit.service import Recorder
from opencode_cloud.billing.models.accounts import USD
from opencode_cloud.contracts.ids import TopUpId, WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.money import CENT, DOLLAR
from opencode_cloud.payments.fees import FeeSchedule
from opencode_cloud.payments.models import (
    Checkout,
    StripeRefused,
    TopUp,
    TopUpState,
    amount_out_of_range,
    checkout_refused,
    no_customer,
    top_up_not_found,
)

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.payments.store.top_ups import TopUpStore
    from opencode_cloud.payments.stripe_api import StripeApi


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleTerms:
    """The operator's terms of sale. Amounts are micro-cents."""

    least: int = 10 * DOLLAR
    most: int = 10_000 * DOLLAR
    fees: FeeSchedule
    taxed: bool = False
    """Whether Stripe computes tax on top of credit and fee."""


class ToppingUp:
    """Opens checkouts, and tells what became of them."""

    def __init__(self, outbox: Outbox, audit: AuditTrail, api: StripeApi, store: TopUpStore, terms: SaleTerms) -> None:
        self._outbox = outbox
        self._api = api
        self._store = store
        self.terms = terms
        """The operator's terms of sale."""
        self._audit = Recorder[TopUp](audit, "top_up", lambda each: each.id, lambda _each: "")

    def begin(self, actor: Actor, workspace_id: WorkspaceId, credit: int, return_url: str) -> tuple[TopUp, Checkout]:
        """Open a checkout for a credit in micro-cents; the credit is there only when its payment is booked.

        Args:
            actor: The person who pays.
            workspace_id: The workspace that gets the credit.
            credit: In micro-cents, whole cents.
            return_url: Page to which Stripe sends the payer back.

        Raises:
            payments_off: (404) The deployment has no account at Stripe.
            amount_out_of_range: (422) The operator's terms do not allow this amount.
            checkout_refused: (422) Stripe refused it.
            stripe_unavailable: (503) The result is unknown. Nothing is charged before the payer has confirmed.
        """
        self._api.check()
        terms = self.terms
        if not terms.least <= credit <= terms.most or credit % CENT:
            raise amount_out_of_range(terms.least, terms.most)
        now = utc_now()
        top_up = TopUp(
            id=TopUpId(new_id("top")),
            workspace_id=workspace_id,
            credit=credit,
            fee=terms.fees.of(credit // CENT) * CENT,
            currency=USD,
            state=TopUpState.OPEN,
            created_by=actor.id,
            created_at=now,
            updated_at=now,
            taxed=terms.taxed,
        )
        with self._outbox.unit() as unit:
            self._store.add(unit.connection, top_up)
            self._audit(unit, actor, "top_up.begun", workspace_id, top_up, after={"credit": credit, "fee": top_up.fee})
        try:
            customer_id = self.customer(workspace_id)
            checkout = self._api.open_checkout(top_up, customer_id, f"{return_url}?top_up={top_up.id}", return_url)
        except StripeRefused as error:
            with self._outbox.unit() as unit:
                self._store.change(unit.connection, top_up.id, state=TopUpState.FAILED, reason=error.code)
            raise checkout_refused(error.code) from error
        with self._outbox.unit() as unit:
            self._store.change(unit.connection, top_up.id, session_id=checkout.id)
        return top_up, checkout

    def customer(self, workspace_id: WorkspaceId) -> str:
        """Return the customer of a workspace, which is made at the first use."""
        with self._outbox.unit() as unit:
            known = self._store.customer(unit.connection, workspace_id)
            name = self._store.workspace_name(unit.connection, workspace_id)
        if known:
            return known
        # The idempotency key makes two concurrent first uses get one customer.
        made = self._api.create_customer(workspace_id, name)
        with self._outbox.unit() as unit:
            self._store.add_customer(unit.connection, workspace_id, made)
            return self._store.customer(unit.connection, workspace_id)

    def known_customer(self, workspace_id: WorkspaceId) -> str:
        """Return the customer of a workspace; empty before its first payment."""
        with self._outbox.unit() as unit:
            return self._store.customer(unit.connection, workspace_id)

    def portal(self, workspace_id: WorkspaceId, return_url: str) -> str:
        """Return the address of the page where a customer changes cards; raises ``no_customer`` (409)."""
        customer_id = self.known_customer(workspace_id)
        if not customer_id:
            raise no_customer()
        return self._api.open_portal(customer_id, return_url)

    def get(self, workspace_id: WorkspaceId, top_up_id: TopUpId) -> TopUp:
        """Return a top-up of a workspace; raises ``top_up_not_found`` (404)."""
        with self._outbox.unit() as unit:
            found = self._store.get(unit.connection, top_up_id)
        if found is None or found.workspace_id != workspace_id:
            raise top_up_not_found()
        return found

    def of_workspace(self, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int) -> list[TopUp]:
        """Return top-ups of a workspace, the newest first."""
        with self._outbox.unit() as unit:
            return self._store.of_workspace(unit.connection, workspace_id, before, limit)
