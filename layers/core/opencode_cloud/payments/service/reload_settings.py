"""Let the payers of a workspace set its automatic reloads, retry a stopped one, and finish one that waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.ids import PaymentId, WorkspaceId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.money import CENT, DOLLAR
from opencode_cloud.payments.models import (
    AutoReload,
    CardView,
    ReloadState,
    ReloadTerms,
    StripeRefused,
    checkout_refused,
    no_card,
    reload_amount_refused,
    reload_cap_refused,
    reload_not_waiting,
    reload_terms_too_fine,
    reload_threshold_refused,
)

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.payments.service.reloading import Reloading
    from opencode_cloud.payments.service.topping_up import SaleTerms
    from opencode_cloud.payments.store.auto_reloads import AutoReloadStore
    from opencode_cloud.payments.store.top_ups import TopUpStore
    from opencode_cloud.payments.stripe_api import StripeApi

LEAST_THRESHOLD = 5 * DOLLAR


class ReloadSettings:
    """Rules of people's choices. Amounts are micro-cents."""

    def __init__(
        self,
        outbox: Outbox,
        audit: AuditTrail,
        api: StripeApi,
        reloads: AutoReloadStore,
        top_ups: TopUpStore,
        reloading: Reloading,
        terms: SaleTerms,
    ) -> None:
        self._outbox = outbox
        self._api = api
        self._reloads = reloads
        self._top_ups = top_ups
        self._reloading = reloading
        self._terms = terms
        self._audit = Recorder[AutoReload](audit, "auto_reload", lambda each: each.workspace_id, lambda _each: "")

    def get(self, workspace_id: WorkspaceId) -> AutoReload | None:
        """Return the reloads of a workspace; None if they were never set."""
        with self._outbox.unit() as unit:
            return self._reloads.get(unit.connection, workspace_id)

    def card(self, workspace_id: WorkspaceId) -> CardView | None:
        """Return the card that reloads would be charged to: the chosen one, else the one that was saved last."""
        self._api.check()
        customer_id = self._customer(workspace_id)
        if not customer_id:
            return None
        return self._api.card(customer_id) or self._api.newest_card(customer_id)

    def change(self, actor: Actor, workspace_id: WorkspaceId, terms: ReloadTerms, base_url: str) -> AutoReload:
        """Set the reloads of a workspace. Switching them on chooses the shown card, and resumes stopped ones.

        A running charge ends as it would have, and no other follows it if they are off.

        Raises:
            payments_off: (404) The deployment has no account at Stripe.
            reload_terms_refused: (422) An amount is out of range.
            no_card: (409) The workspace has no saved card.
        """
        self._api.check()
        self._check(terms)
        if terms.enabled:
            self._choose(workspace_id)
        with self._outbox.unit() as unit:
            before = self._reloads.get(unit.connection, workspace_id, lock=True)
            self._reloads.set_terms(unit.connection, workspace_id, terms, base_url, actor.id)
            if before is not None and before.state is ReloadState.STOPPED and terms.enabled:
                self._reloads.move(unit.connection, workspace_id, ReloadState.IDLE, reason="", next_at=None)
            after = self._reloads.get(unit.connection, workspace_id)
            if after is None:
                raise RuntimeError("a row that was just written is missing")
            old = msgspec.structs.asdict(before.terms) if before else None
            new = msgspec.structs.asdict(terms)
            self._audit(unit, actor, "auto_reload.changed", workspace_id, after, before=old, after=new)
            if terms.enabled:
                unit.emit(Topic.RELOAD, workspace_id)
        return after

    def retry(self, actor: Actor, workspace_id: WorkspaceId) -> None:
        """Resume reloads that have stopped; raises ``reload_not_waiting`` (409) if they have not."""
        with self._outbox.unit() as unit:
            reload = self._reloads.get(unit.connection, workspace_id, lock=True)
            if reload is None or reload.state is not ReloadState.STOPPED or not reload.terms.enabled:
                raise reload_not_waiting()
            self._reloads.move(unit.connection, workspace_id, ReloadState.IDLE, reason="", next_at=None)
            self._audit(unit, actor, "auto_reload.retried", workspace_id, reload, before={"reason": reload.reason})
            unit.emit(Topic.RELOAD, workspace_id)

    def finish(self, actor: Actor, workspace_id: WorkspaceId, return_url: str) -> str:
        """Return the address of a page on which the card's owner pays a reload that waits for them.

        The charge that the bank did not accept is canceled first, so the reload is paid once. Returns ``return_url`` if
        it is paid already.

        Raises ``reload_not_waiting`` (409), ``checkout_refused`` (422) or ``stripe_unavailable`` (503).
        """
        with self._outbox.unit() as unit:
            reload = self._reloads.get(unit.connection, workspace_id)
            top_up = self._top_ups.get(unit.connection, reload.top_up_id) if reload else None
        if reload is None or top_up is None or reload.state is not ReloadState.ACTION_REQUIRED:
            raise reload_not_waiting()
        if top_up.session_id and (page := self._api.session(top_up.session_id).url):
            return page
        try:
            if not self._reloading.void(top_up):
                return return_url
            checkout = self._api.open_checkout(top_up, self._customer(workspace_id), return_url, return_url)
        except StripeRefused as error:
            raise checkout_refused(error.code) from error
        with self._outbox.unit() as unit:
            # The next page, if this one expires, needs another key. The tax is that of the page.
            changed = {"session_id": checkout.id, "payment_id": PaymentId(""), "attempt": top_up.attempt + 1}
            self._top_ups.change(unit.connection, top_up.id, tax=0, calculation_id="", **changed)
            self._audit(unit, actor, "auto_reload.finishing", workspace_id, reload)
        return checkout.url

    def _check(self, terms: ReloadTerms) -> None:
        sale, given = self._terms, [terms.amount, terms.threshold, terms.day_cap or 0, terms.month_cap or 0]
        if any(each % CENT for each in given):
            raise reload_terms_too_fine()
        if not sale.least <= terms.amount <= sale.most:
            raise reload_amount_refused(sale.least, sale.most)
        if not LEAST_THRESHOLD <= terms.threshold <= sale.most:
            raise reload_threshold_refused(LEAST_THRESHOLD, sale.most)
        if any(cap is not None and cap < terms.amount for cap in (terms.day_cap, terms.month_cap)):
            raise reload_cap_refused()

    def _choose(self, workspace_id: WorkspaceId) -> None:
        """Make the card that :meth:`card` shows the default one."""
        customer_id = self._customer(workspace_id)
        if customer_id and self._api.card(customer_id):
            return
        newest = self._api.newest_card(customer_id) if customer_id else None
        if newest is None:
            raise no_card()
        self._api.choose_card(customer_id, newest.id)

    def _customer(self, workspace_id: WorkspaceId) -> str:
        with self._outbox.unit() as unit:
            return self._top_ups.customer(unit.connection, workspace_id)
