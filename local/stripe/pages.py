"""The pages of Stripe that a browser sees: checkout, 3-D Secure, invoices, the portal. Plain forms, no scripts."""

from html import escape
from typing import Any
from urllib.parse import quote

from aiohttp import web

from local.stripe.account import Account
from local.stripe.errors import StripeError
from local.stripe.objects import Json
from local.stripe.resources import checkout, invoicing, payments
from local.stripe.resources.cards import NUMBERS
from local.stripe.resources.customers import detach
from local.stripe.resources.intents import complete_setup, take_method

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
STYLE = (
    "body{font:1rem/1.6 system-ui,sans-serif;margin:2rem auto;max-width:34rem;padding:0 1rem}"
    "label{display:block;margin:.5rem 0}input,select{width:100%;padding:.4rem;box-sizing:border-box}"
    "button{padding:.5rem 1rem;margin:.5rem .5rem 0 0}.error{color:#b00020}small{color:#555}"
)
NOTE = "<p><small>This is a stand-in for Stripe on this machine. No money moves.</small></p>"
AUTHENTICATION_FAILED = (
    "payment_intent_authentication_failure",
    None,
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
)


class Pages:
    """The pages of all accounts. An id in an address is as secret as Stripe's."""

    def __init__(self, accounts: dict[str, Account]) -> None:
        """Show objects of `accounts` (by secret key)."""
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/pages/checkout/{id}", self.show_checkout),
            web.post("/pages/checkout/{id}", self.submit_checkout),
            web.get("/pages/authenticate/{id}", self.show_authentication),
            web.post("/pages/authenticate/{id}", self.authenticate),
            web.get("/pages/invoices/{id}", self.show_invoice),
            web.post("/pages/invoices/{id}", self.pay_invoice),
            web.get("/pages/portal/{id}", self.show_portal),
            web.post("/pages/portal/{id}", self.change_portal),
            web.get("/pages/receipts/{id}", self.show_receipt),
        ]

    async def show_checkout(self, request: web.Request) -> web.Response:
        """Show a checkout session."""
        _, session = self._object(request, "checkout.session")
        return _checkout(session)

    async def submit_checkout(self, request: web.Request) -> web.Response:
        """Pay, and send the browser on."""
        account, session = self._object(request, "checkout.session")
        form = await _form(request)
        if session["status"] != "open":
            return _checkout(session)
        token = "pm_usBankAccount_success" if form.get("method") == "bank" else _token(form)
        if token is None:
            return _checkout(session, "Your card number is invalid.")
        try:
            done = checkout.submit(account, session, token, form)
        except StripeError as error:
            return _checkout(session, str(error))
        if done["status"] == "requires_action":
            raise web.HTTPSeeOther(f"/pages/authenticate/{done['id']}")
        raise web.HTTPSeeOther(_success(session))

    async def show_authentication(self, request: web.Request) -> web.Response:
        """Ask as a bank does."""
        _, intent = self._intent(request)
        if intent["status"] != "requires_action":
            return _page("3-D Secure", "<h1>Nothing to authenticate</h1>")
        amount = _money(intent) if intent["object"] == "payment_intent" else "saving your card"
        buttons = '<button name="answer" value="complete">Complete authentication</button>'
        buttons += '<button name="answer" value="fail">Fail authentication</button>'
        return _page("3-D Secure", f"<h1>Authenticate {amount}</h1><form method=post>{buttons}</form>")

    async def authenticate(self, request: web.Request) -> web.Response:
        """Take the payer's answer."""
        account, intent = self._intent(request)
        form = await _form(request)
        back = self._after(account, intent)
        if intent["status"] == "requires_action":
            try:
                _conclude(account, intent, passed=form.get("answer") == "complete")
            except StripeError as error:
                return _page("3-D Secure", f'<h1>Failed</h1><p class="error">{escape(str(error))}</p>{_link(back)}')
        raise web.HTTPSeeOther(self._after(account, intent) or "/")

    async def show_invoice(self, request: web.Request) -> web.Response:
        """Show an invoice with its form of payment."""
        _, invoice = self._object(request, "invoice")
        return _invoice(invoice)

    async def pay_invoice(self, request: web.Request) -> web.Response:
        """Pay an invoice by a typed card."""
        account, invoice = self._object(request, "invoice")
        token = _token(await _form(request))
        if token is None:
            return _invoice(invoice, "Your card number is invalid.")
        try:
            if invoice["status"] == "open":
                intent = invoicing.intent_of(account, invoice)
                take_method(account, intent, token)
                payments.pay(account, intent, off_session=False)
                if intent["status"] == "requires_action":
                    raise web.HTTPSeeOther(f"/pages/authenticate/{intent['id']}")
        except StripeError as error:
            return _invoice(invoice, str(error))
        return _invoice(invoice)

    async def show_portal(self, request: web.Request) -> web.Response:
        """Show a customer's cards."""
        account, portal = self._object(request, "billing_portal.session")
        return _portal(account, portal)

    async def change_portal(self, request: web.Request) -> web.Response:
        """Add a card as the default one, or remove one."""
        account, portal = self._object(request, "billing_portal.session")
        form = await _form(request)
        try:
            if "detach" in form:
                detach(account, {}, form["detach"])
            elif (token := _token(form)) is None:
                return _portal(account, portal, "Your card number is invalid.")
            else:
                checkout.add_card(account, portal, token)
        except StripeError as error:
            return _portal(account, portal, str(error))
        return _portal(account, portal)

    async def show_receipt(self, request: web.Request) -> web.Response:
        """Show a receipt."""
        _, intent = self._object(request, "payment_intent")
        return _page("Receipt", f"<h1>Receipt</h1><p>{_money(intent)}, {escape(intent['status'])}</p>")

    def _after(self, account: Account, intent: Json) -> str:
        """Return where the browser goes after 3-D Secure."""
        action: Json = intent["next_action"] or {}
        if session := checkout.session_of(account, intent):
            return _success(session) if session["status"] == "complete" else f"/pages/checkout/{session['id']}"
        payment = next(
            (p for p in account.all("invoice_payment") if p["payment"]["payment_intent"] == intent["id"]), None
        )
        if payment:
            return f"/pages/invoices/{payment['invoice']}"
        return str(action.get("redirect_to_url", {}).get("return_url") or "")

    def _intent(self, request: web.Request) -> tuple[Account, Json]:
        kind = "setup_intent" if request.match_info["id"].startswith("seti_") else "payment_intent"
        return self._object(request, kind)

    def _object(self, request: web.Request, kind: str) -> tuple[Account, Json]:
        for account in self._accounts.values():
            found = account.find(kind, request.match_info["id"])
            if found:
                account.request = {"id": None, "idempotency_key": None}
                return account, found
        raise web.HTTPNotFound(text="There is no such page.")


def _conclude(account: Account, intent: Json, *, passed: bool) -> None:
    if intent["object"] == "setup_intent":
        if passed:
            complete_setup(account, intent)
        else:
            intent.update(status="requires_payment_method", payment_method=None, next_action=None)
            account.emit("setup_intent.setup_failed", intent)
        return
    if not passed:
        raise payments.fail(account, intent, AUTHENTICATION_FAILED)
    payments.pay(account, intent, off_session=False, authenticated=True)


async def _form(request: web.Request) -> dict[str, str]:
    return {name: str(value).strip() for name, value in (await request.post()).items()}


def _token(form: dict[str, str]) -> str | None:
    return NUMBERS.get("".join(form.get("number", "").split()))


def _success(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", quote(session["id"]))


def _checkout(session: Json, error: str = "") -> web.Response:
    if session["status"] != "open":
        return _page("Checkout", f"<h1>This page has ended</h1><p>The session is {escape(session['status'])}.</p>")
    total = _money(session) if session["amount_total"] is not None else "Save a card"
    email = escape(session["customer_email"] or "")
    fields = f'<label>Email <input name="email" type="email" value="{email}"></label>{_CARD}'
    fields += '<label>Country <input name="country" value="US" maxlength="2"></label>'
    if session["automatic_tax"]["enabled"]:
        fields += '<label>Postal code <input name="postal_code" value="10001"></label>'
        total += " and tax"
    fields += '<label>Pay by <select name="method"><option value="card">Card</option>'
    fields += '<option value="bank">Bank debit (arrives later)</option></select></label>'
    back = f'<a href="{escape(session["cancel_url"])}">Back</a>' if session["cancel_url"] else ""
    body = f"<h1>{total}</h1>{_error(error)}<form method=post>{fields}<button>Pay</button></form>{back}"
    return _page("Checkout", body)


def _invoice(invoice: Json, error: str = "") -> web.Response:
    body = f"<h1>Invoice {escape(invoice['number'] or '')}</h1><p>{_money(invoice)}, {escape(invoice['status'])}</p>"
    if invoice["status"] == "open":
        body += f"{_error(error)}<form method=post>{_CARD}<button>Pay</button></form>"
    return _page("Invoice", body)


def _portal(account: Account, portal: Json, error: str = "") -> web.Response:
    default = account.at("customer", portal["customer"])["invoice_settings"]["default_payment_method"]
    cards = ""
    for each in account.all("payment_method", customer=portal["customer"]):
        mark = " (default)" if each["id"] == default else ""
        shown = f"{escape(each['type'])} ending in {escape(each[each['type']]['last4'])}{mark}"
        cards += f"<li>{shown} <button name=detach value={each['id']}>Remove</button></li>"
    listed = f"<form method=post><ul>{cards}</ul></form>" if cards else "<p>No card.</p>"
    form = f"<form method=post>{_CARD}<button>Add card</button></form>"
    return _page(
        "Billing portal", f"<h1>Payment methods</h1>{_error(error)}{listed}{form}{_link(portal['return_url'])}"
    )


_CARD = (
    '<label>Card number <input name="number" value="" autocomplete="off" placeholder="4242 4242 4242 4242"></label>'
    '<label>Name on card <input name="name"></label>'
)


def _error(text: str) -> str:
    return f'<p class="error" role="alert">{escape(text)}</p>' if text else ""


def _link(address: Any) -> str:
    return f'<p><a href="{escape(str(address))}">Back</a></p>' if address else ""


def _money(made: Json) -> str:
    amount: int = made.get("amount_total") or made.get("amount_due") or made.get("amount") or 0
    return f"{amount / 100:.2f} {escape(str(made['currency']).upper())}"


def _page(title: str, body: str) -> web.Response:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    text = f"{head}<style>{STYLE}</style><main>{body}</main>{NOTE}</html>"
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": POLICY})
