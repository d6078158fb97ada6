"""Checkout sessions and sessions of the billing portal. `pages` shows them to a browser."""

import secrets
from typing import Any

from local.stripe.account import Account
from local.stripe.amounts import check_charge, check_quantity
from local.stripe.errors import lacking, missing, refused
from local.stripe.listing import include, page
from local.stripe.objects import Json, changes, listing, make
from local.stripe.resources import invoicing, taxes
from local.stripe.resources.cards import ADDRESS, from_token, needs_authentication
from local.stripe.resources.customers import attach_to
from local.stripe.resources.customers import create as create_customer
from local.stripe.resources.customers import update as update_customer
from local.stripe.resources.intents import complete_setup, new_intent, new_setup, take_method
from local.stripe.resources.payments import listen, pay
from local.stripe.resources.products import price_of
from local.stripe.resources.subscriptions import start as start_subscription
from local.stripe.routing import Methods

methods = Methods()
LIFETIME = 86400
SHORTEST = 1800
"""Bounds of a session's life, in seconds."""
_CREATE = (
    "mode success_url cancel_url customer customer_email customer_creation client_reference_id metadata currency"
    " expires_at allowed_payment_method_types billing_address_collection tax_id_collection customer_update"
    " locale line_items.price line_items.price_data line_items.quantity submit_type ui_mode automatic_tax.enabled"
    " payment_intent_data.metadata payment_intent_data.setup_future_usage payment_intent_data.description"
    " payment_intent_data.receipt_email subscription_data.metadata subscription_data.trial_period_days"
    " setup_intent_data.metadata"
)


@methods.add("POST", "/v1/checkout/sessions", "checkout.SessionCreateParams", _CREATE)
def create(account: Account, values: dict[str, Any]) -> Json:
    """Create a session."""
    mode = values.get("mode")
    _check(account, values, mode)
    now = account.now(values.get("customer"))
    lines = [_line(account, line, index) for index, line in enumerate(values.get("line_items", []))]
    total, is_taxed = _total(mode, lines), _is_taxed(values)
    if is_taxed:
        _check_tax(account, values, lines)
    made = make(
        "checkout.session",
        automatic_tax={
            "enabled": is_taxed,
            "liability": {"type": "self", "account": None} if is_taxed else None,
            "provider": "stripe" if is_taxed else None,
            "status": "requires_location_inputs" if is_taxed else None,
        },
        created=now,
        currency=lines[0]["currency"] if lines else values.get("currency"),
        custom_fields=[],
        custom_text=dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        customer_creation=values.get("customer_creation", "if_required") if mode == "payment" else None,
        expires_at=values.get("expires_at", now + LIFETIME),
        metadata=values.get("metadata") or {},
        mode=mode,
        payment_method_types=values.get("allowed_payment_method_types", ["card"]),
        payment_status="no_payment_required" if mode == "setup" else "unpaid",
        shipping_options=[],
        status="open",
        success_url=values["success_url"],
        total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0} if lines else None,
        ui_mode="hosted_page",
        amount_subtotal=total if lines else None,
        amount_total=total if lines else None,
        **{name: values[name] for name in _PLAIN if name in values},
    )
    made["url"] = f"{account.url}/pages/checkout/{made['id']}"
    account.plans[made["id"]] = {"lines": lines} | {name: values.get(name, {}) for name in _DATA}
    if mode == "setup":
        wanted = {"metadata": values.get("setup_intent_data", {}).get("metadata")}
        wanted |= {"customer": values["customer"]} if "customer" in values else {}
        made["setup_intent"] = new_setup(account, wanted)["id"]
    return account.add(made)


_PLAIN = (
    "cancel_url",
    "customer",
    "customer_email",
    "client_reference_id",
    "billing_address_collection",
    "locale",
    "tax_id_collection",
    "submit_type",
)
_DATA = ("payment_intent_data", "subscription_data", "customer_update")


def _check(account: Account, values: dict[str, Any], mode: str | None) -> None:
    if mode is None:
        raise missing("mode")
    if "success_url" not in values:
        raise missing("success_url")
    if mode != "setup" and not values.get("line_items"):
        raise missing("line_items")
    if values.get("ui_mode", "hosted_page") != "hosted_page":
        raise lacking("checkout pages inside of other pages")
    for name in ("success_url", "cancel_url"):
        if name in values and not values[name].startswith(("http://", "https://")):
            raise refused("Not a valid URL", "url_invalid", name)
    _check_customer(account, values)
    _check_expiry(account, values)
    for name, fitting in (("payment_intent_data", "payment"), ("subscription_data", "subscription")):
        if name in values and mode != fitting:
            raise refused(f"You can not pass `{name}` in `{mode}` mode.", None, name)


def _check_customer(account: Account, values: dict[str, Any]) -> None:
    if "customer" in values:
        if "customer_email" in values or "customer_creation" in values:
            message = "You may only specify one of these parameters: customer, customer_email, customer_creation."
            raise refused(message, None, "customer")
        account.get("customer", values["customer"], "customer")
        taxed = values.get("tax_id_collection", {}).get("enabled")
        if taxed and values.get("customer_update", {}).get("name") != "auto":
            message = "Tax ID collection requires updating business name on the customer: set `customer_update[name]`."
            raise refused(message, None, "customer_update")
    elif "customer_update" in values:
        raise refused("`customer_update` can only be used with `customer`.", None, "customer_update")


def _is_taxed(values: dict[str, Any]) -> bool:
    return bool(values.get("automatic_tax", {}).get("enabled"))


def _check_tax(account: Account, values: dict[str, Any], lines: list[Json]) -> None:
    for index, line in enumerate(lines):
        taxes.check_behaviour(account, line["price"], f"line_items[{index}]")
    customer = account.find("customer", values.get("customer"))
    takes_typed = values.get("customer_update", {}).get("address") == "auto"
    if customer and not takes_typed and not taxes.is_enough(customer["address"]):
        message = (
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to "
            "the Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' "
            "to save the address entered in Checkout to the Customer."
        )
        raise refused(message, taxes.LOCATION, "automatic_tax")


def _check_expiry(account: Account, values: dict[str, Any]) -> None:
    if "expires_at" in values:
        ahead = values["expires_at"] - account.now(values.get("customer"))
        if not SHORTEST <= ahead <= LIFETIME:
            message = (
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
            )
            raise refused(message, None, "expires_at")


def _total(mode: str | None, lines: list[Json]) -> int:
    """Return what the lines cost now; raises StripeError if they do not fit the mode, or each other."""
    if len({line["currency"] for line in lines}) > 1:
        raise refused("All line items must have the same currency.", None, "line_items")
    recurring = [line for line in lines if line["price"]["recurring"]]
    if mode == "payment" and recurring:
        message = "You specified `payment` mode but passed a recurring price. Use `subscription` mode instead."
        raise refused(message, None, "line_items")
    if mode == "subscription" and not recurring:
        message = "You must provide at least one recurring price in `subscription` mode when using prices."
        raise refused(message, None, "line_items")
    total = sum(line["amount_total"] for line in lines)
    if mode == "payment":
        check_charge(total, "line_items")
    return total


def _line(account: Account, line: dict[str, Any], index: int) -> Json:
    price = price_of(account, line, f"line_items[{index}]")
    quantity = line.get("quantity")
    if quantity is None:
        raise missing(f"line_items[{index}][quantity]")
    check_quantity(quantity, f"line_items[{index}]", 1)
    amount = price["unit_amount"] * quantity
    sums = {"amount_discount": 0, "amount_subtotal": amount, "amount_tax": 0, "amount_total": amount}
    product = account.at("product", price["product"])
    made = make("item", currency=price["currency"], description=product["name"], price=price, quantity=quantity, **sums)
    made["metadata"] = {}
    return made


methods.add_retrieve("checkout.session")
methods.add_list("checkout.session", "customer payment_intent status subscription")


@methods.add("POST", "/v1/checkout/sessions/{}", "checkout.SessionUpdateParams", "metadata")
def update(account: Account, values: dict[str, Any], session_id: str) -> Json:
    """Change the metadata of a session."""
    made = account.at("checkout.session", session_id)
    made.update(changes(made, values))
    return made


@methods.add("POST", "/v1/checkout/sessions/{}/expire", "checkout.SessionExpireParams")
def expire(account: Account, _values: dict[str, Any], session_id: str) -> Json:
    """End an open session."""
    made = account.at("checkout.session", session_id)
    if made["status"] != "open":
        raise refused(f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {made["status"]}.')
    made.update(status="expired", url=None)
    account.emit("checkout.session.expired", made)
    return made


@methods.add(
    "GET",
    "/v1/checkout/sessions/{}/line_items",
    "checkout.SessionListLineItemsParams",
    "limit starting_after ending_before",
)
def list_lines(account: Account, values: dict[str, Any], session_id: str) -> Json:
    """List the lines of a session."""
    account.at("checkout.session", session_id)
    return page(account.plans[session_id]["lines"], values, f"/v1/checkout/sessions/{session_id}/line_items")


@include("checkout.session", "line_items")
def _line_items(account: Account, session: Json) -> Json:
    return listing(account.plans[session["id"]]["lines"], f"/v1/checkout/sessions/{session['id']}/line_items")


def submit(account: Account, session: Json, token: str, details: dict[str, str]) -> Json:
    """Do what the page's button does; return the intent that may ask the payer, or the session.

    Args:
        account: The session's.
        session: An open one.
        token: Test payment method that was typed.
        details: `email`, `name`, and members of the address.

    Raises:
        StripeError: The session is not open, or the bank declines.
    """
    if session["status"] != "open":
        raise refused("This Checkout Session is no longer open.", None, "session")
    address = {name: details.get(name) or None for name in ADDRESS}
    billing = {"email": details.get("email") or None, "name": details.get("name") or None, "address": address}
    method = from_token(account, token, billing)
    session["customer_details"] = billing | {"phone": None, "tax_exempt": "none", "tax_ids": []}
    if session["automatic_tax"]["enabled"]:
        _compute_tax(account, session, address)
    _own_customer(account, session, billing)
    if session["mode"] == "setup":
        return _set_up(account, session, method["id"])
    if session["mode"] == "subscription":
        return _subscribe(account, session, method["id"])
    return _pay(account, session, method["id"])


def _compute_tax(account: Account, session: Json, typed: Json) -> None:
    """Count the tax of an open session by the typed address, else by the customer's; raises StripeError."""
    customer = account.find("customer", session["customer"])
    takes_typed = account.plans[session["id"]]["customer_update"].get("address") == "auto"
    address = typed if customer is None or takes_typed else customer["address"]
    taxes.check_address(address)
    rate = taxes.rate_of(address, customer["tax_exempt"] if customer else None)
    for line in account.plans[session["id"]]["lines"]:
        tax = taxes.tax_on(line["amount_subtotal"], rate)
        line.update(amount_tax=tax, amount_total=line["amount_subtotal"] + tax)
    tax = sum(line["amount_tax"] for line in account.plans[session["id"]]["lines"])
    session["automatic_tax"]["status"] = "complete"
    session["total_details"]["amount_tax"] = tax
    session["amount_total"] = session["amount_subtotal"] + tax
    intent = account.find("payment_intent", session["payment_intent"])
    if intent is not None:
        intent["amount"] = session["amount_total"]


def _own_customer(account: Account, session: Json, billing: Json) -> None:
    _keep_typed(account, session, billing)
    wanted = session["mode"] == "subscription" or session["customer_creation"] == "always"
    saves = account.plans[session["id"]]["payment_intent_data"].get("setup_future_usage")
    if session["customer"] is None and (wanted or saves):
        values = {name: billing[name] for name in ("email", "name") if billing[name]}
        if session["automatic_tax"]["enabled"]:
            values["address"] = billing["address"]
        session["customer"] = create_customer(account, values)["id"]


def _keep_typed(account: Account, session: Json, billing: Json) -> None:
    """Save what was typed to the customer, as `customer_update` asks for."""
    chosen = account.plans[session["id"]]["customer_update"]
    typed: Json = {}
    if chosen.get("address") == "auto" and billing["address"]["country"]:
        typed["address"] = {name: text for name, text in billing["address"].items() if text}
    if chosen.get("name") == "auto" and billing["name"]:
        typed["name"] = billing["name"]
    if session["customer"] and typed:
        update_customer(account, typed, session["customer"])


def _pay(account: Account, session: Json, method_id: str) -> Json:
    data = account.plans[session["id"]]["payment_intent_data"]
    intent = account.find("payment_intent", session["payment_intent"])
    if intent is None:
        wanted = data | {"amount": session["amount_total"], "currency": session["currency"]}
        intent = new_intent(account, wanted | {"customer": session["customer"]})
        session["payment_intent"] = intent["id"]
    take_method(account, intent, method_id)
    pay(account, intent, off_session=False)
    return intent


def _set_up(account: Account, session: Json, method_id: str) -> Json:
    intent = account.at("setup_intent", session["setup_intent"])
    intent.update(payment_method=method_id, status="requires_confirmation", customer=session["customer"])
    complete_setup(account, intent)
    _complete(account, session)
    return intent


def _subscribe(account: Account, session: Json, method_id: str) -> Json:
    method = account.at("payment_method", method_id)
    plan = account.plans[session["id"]]
    lines = [{"price": line["price"]["id"], "quantity": line["quantity"]} for line in plan["lines"]]
    values = {"customer": session["customer"], "items": lines, "default_payment_method": method_id}
    values |= {name: plan["subscription_data"][name] for name in plan["subscription_data"]}
    values |= {"automatic_tax": {"enabled": session["automatic_tax"]["enabled"]}}
    if needs_authentication(account, method_id):
        return _ask_for_subscription(account, session, values)
    made = start_subscription(account, values | {"payment_behavior": "error_if_incomplete"})
    if method["customer"] is None:
        method["customer"] = session["customer"]
        account.emit("payment_method.attached", method)
    _begin(account, session, made)
    return made


def _ask_for_subscription(account: Account, session: Json, values: dict[str, Any]) -> Json:
    """Store a subscription that waits for its payer at the bank's page, and return the intent of its invoice.

    Another attempt on the page makes another subscription. The one that is paid ends the session.
    """
    made = start_subscription(account, values | {"payment_behavior": "default_incomplete"})
    intent = invoicing.intent_of(account, account.at("invoice", made["latest_invoice"]))
    account.plans[session["id"]].setdefault("asked", {})[intent["id"]] = made["id"]
    take_method(account, intent, values["default_payment_method"])
    pay(account, intent, off_session=False)
    return intent


def _begin(account: Account, session: Json, subscription: Json) -> None:
    session.update(subscription=subscription["id"], invoice=subscription["latest_invoice"], payment_status="paid")
    _complete(account, session)


def session_of(account: Account, intent: Json) -> Json | None:
    """Return the session that an intent pays; None without one."""
    by_intent = next(account.all("checkout.session", payment_intent=intent["id"]), None)
    asking = (key for key, plan in account.plans.items() if intent["id"] in plan.get("asked", {}))
    return by_intent or next((account.at("checkout.session", key) for key in asking), None)


def _complete(account: Account, session: Json) -> None:
    session.update(status="complete", url=None)
    account.emit("checkout.session.completed", session)


@listen
def _follow(account: Account, intent: Json) -> None:
    session = session_of(account, intent)
    if session is None:
        return
    if session["mode"] == "subscription":
        if intent["status"] == "succeeded" and session["status"] == "open":
            made = account.plans[session["id"]]["asked"][intent["id"]]
            _begin(account, session, account.at("subscription", made))
        return
    if intent["status"] == "processing":
        _complete(account, session)
    elif intent["status"] == "succeeded":
        was_pending = session["status"] == "complete"
        session["payment_status"] = "paid"
        if was_pending:
            account.emit("checkout.session.async_payment_succeeded", session)
        else:
            _complete(account, session)
    elif intent["status"] == "requires_payment_method" and session["status"] == "complete":
        account.emit("checkout.session.async_payment_failed", session)


@methods.add("POST", "/v1/billing_portal/sessions", "billing_portal.SessionCreateParams", "customer return_url locale")
def create_portal(account: Account, values: dict[str, Any]) -> Json:
    """Create a session of the portal."""
    if "customer" not in values:
        raise missing("customer")
    account.get("customer", values["customer"], "customer")
    made = make(
        "billing_portal.session",
        configuration=f"bpc_{secrets.token_hex(8)}",
        created=account.now(),
        customer=values["customer"],
        return_url=values.get("return_url"),
        url="",
    )
    made["url"] = f"{account.url}/pages/portal/{made['id']}"
    return account.add(made)


def add_card(account: Account, portal: Json, token: str) -> None:
    """Do what the portal's form does: attach a card and make it the default.

    Raises:
        StripeError: The bank declines it.
    """
    method = from_token(account, token)
    attach_to(account, method, portal["customer"])
    account.set_up.add(method["id"])
    update_customer(account, {"invoice_settings": {"default_payment_method": method["id"]}}, portal["customer"])
