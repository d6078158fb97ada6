"""Steps of Stripe itself, or of its dashboard, as requests to `/_stand_in/...`; Stripe has no such addresses."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from local.stripe.account import Account
from local.stripe.errors import StripeError
from local.stripe.faults import Fault, Planned
from local.stripe.resources import charges, checkout, payments
from local.stripe.resources.events import new_secret

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The control of all accounts; a request names its account by its key, as in the API."""

    def __init__(self, account_of: Callable[[web.Request], Account]) -> None:
        """Find accounts by `account_of`."""
        self._account_of = account_of

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        steps: dict[str, Callable[[Account, Any], Any]] = {
            "faults": self._plan_fault,
            "idempotency_keys/forget": lambda account, _: account.answers.forget_all(),
            "webhooks/hold": self._hold,
            "webhooks/release": self._release,
            "webhooks/resend": self._resend,
            "webhooks/roll": self._roll,
            "webhooks/idle": lambda account, _: account.deliveries.is_idle,
            "payment_intents/settle": self._settle,
            "refunds/complete": self._complete_refund,
            "refunds/fail": lambda account, given: charges.fail_refund(account, account.at("refund", given["refund"])),
            "disputes/open": self._open_dispute,
            "disputes/end": self._end_dispute,
            "checkout/complete": self._complete_checkout,
            "checkout/expire": lambda account, given: checkout.expire(account, {}, given["session"]),
        }
        return [web.post(f"/_stand_in/{name}", self._step(step)) for name, step in steps.items()]

    def _step(self, step: Callable[[Account, Any], Any]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            account = self._account_of(request)
            account.request = {"id": None, "idempotency_key": None}
            given: Any = await request.json() if request.can_read_body else {}
            try:
                return web.json_response({"result": step(account, given)})
            except StripeError as error:
                return web.json_response(error.body, status=error.status)

        return handle

    def _plan_fault(self, account: Account, given: Any) -> None:
        account.faults.plan(Planned(**given | {"fault": Fault(given["fault"])}))

    def _hold(self, account: Account, _given: Any) -> None:
        account.deliveries.is_held = True

    def _release(self, account: Account, given: Any) -> int:
        return account.deliveries.release(given.get("order", "given"), given.get("copies", 1), given.get("seed", 0))

    def _resend(self, account: Account, given: Any) -> None:
        account.deliveries.resend(account.at("event", given["event"]), given.get("copies", 1))

    def _roll(self, account: Account, given: Any) -> str:
        secret = new_secret()
        account.deliveries.roll(given["webhook_endpoint"], secret, given.get("seconds", 0))
        return secret

    def _settle(self, account: Account, given: Any) -> None:
        intent = account.at("payment_intent", given["payment_intent"])
        payments.settle_debit(account, intent, paid=given.get("paid", True))

    def _complete_refund(self, account: Account, given: Any) -> None:
        charges.complete_refund(account, account.at("refund", given["refund"]))

    def _open_dispute(self, account: Account, given: Any) -> Any:
        charge = account.at("charge", given["charge"])
        amount = given.get("amount", charge["amount"])
        return charges.open_dispute(account, charge, amount, given.get("reason", "fraudulent"))["id"]

    def _end_dispute(self, account: Account, given: Any) -> None:
        charges.end_dispute(account, account.at("dispute", given["dispute"]), won=given["won"])

    def _complete_checkout(self, account: Account, given: Any) -> Any:
        session = account.at("checkout.session", given["session"])
        done = checkout.submit(account, session, given.get("payment_method", "pm_card_visa"), given.get("details", {}))
        return done["status"]
