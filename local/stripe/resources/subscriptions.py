"""Subscriptions: methods. `clocks` says what time does to them."""

from typing import Any

from local.stripe.account import Account
from local.stripe.amounts import check_quantity
from local.stripe.errors import StripeError, lacking, missing, refused
from local.stripe.objects import Json, changes, listing, make
from local.stripe.resources import invoicing, taxes
from local.stripe.resources.invoices import new_item
from local.stripe.resources.periods import end_of
from local.stripe.resources.products import price_of
from local.stripe.routing import Methods

methods = Methods()
_CREATE = (
    "cancel_at_period_end collection_method customer default_payment_method description metadata off_session"
    " items.price items.price_data items.quantity items.metadata payment_behavior trial_period_days currency"
    " proration_behavior payment_settings.save_default_payment_method billing_mode automatic_tax.enabled"
)


@methods.add("POST", "/v1/subscriptions", "SubscriptionCreateParams", _CREATE)
def create(account: Account, values: dict[str, Any]) -> Json:
    """Create a subscription of a card that is the customer's."""
    if values.get("customer"):
        _check_method(account, values, account.get("customer", values["customer"], "customer"))
    return start(account, values)


def start(account: Account, values: dict[str, Any]) -> Json:
    """Store a subscription and its first invoice, and try to collect it."""
    if not values.get("customer") or not values.get("items"):
        name = "items" if values.get("customer") else "customer"
        raise missing(name)
    customer = account.get("customer", values["customer"], "customer")
    prices = [price_of(account, line, f"items[{index}]") for index, line in enumerate(values["items"])]
    _check_prices(account, customer, prices)
    if _is_taxed(values):
        taxes.check_address(customer["address"])
        for index, price in enumerate(prices):
            taxes.check_behaviour(account, price, f"items[{index}]")
    for index, line in enumerate(values["items"]):
        check_quantity(line.get("quantity", 1), f"items[{index}]")
    made = _new(account, customer, values, prices)
    account.emit("customer.subscription.created", made)
    if made["status"] == "trialing":
        return made
    invoice = bill(account, made, "subscription_create")
    behaviour = values.get("payment_behavior", "allow_incomplete")
    if invoice["status"] == "open" and behaviour != "default_incomplete":
        try:
            invoicing.collect(account, invoice)
        except StripeError:
            if behaviour == "error_if_incomplete":
                account.delete(made)
                invoicing.void(account, invoice, "void", "invoice.voided")
                raise
    return made


def _is_taxed(values: dict[str, Any]) -> bool:
    return bool(values.get("automatic_tax", {}).get("enabled"))


def _check_method(account: Account, values: dict[str, Any], customer: Json) -> None:
    method_id = values.get("default_payment_method")
    if method_id and (account.find("payment_method", method_id) or {}).get("customer") != customer["id"]:
        message = f"The customer does not have a payment method with the ID {method_id}. Attach it first."
        raise refused(message, "resource_missing", "default_payment_method")


def _check_prices(account: Account, customer: Json, prices: list[Json]) -> None:
    """Check that the prices differ, and that they and the customer's other subscriptions are of one currency."""
    if len({each["id"] for each in prices}) < len(prices):
        raise refused("Cannot add multiple subscription items with the same price.", None, "items")
    others = account.all("subscription", customer=customer["id"])
    used = {each["currency"] for each in others if each["status"] not in ("canceled", "incomplete_expired")}
    if len(used | {each["currency"] for each in prices}) > 1:
        raise refused("You cannot combine currencies on a single customer.", None, "currency")


def _new(account: Account, customer: Json, values: dict[str, Any], prices: list[Json]) -> Json:
    now = account.now(customer["id"])
    trial_end = now + values["trial_period_days"] * 86400 if values.get("trial_period_days") else None
    chosen = {name: values[name] for name in ("default_payment_method", "description") if name in values}
    made = make(
        "subscription",
        automatic_tax={
            "enabled": _is_taxed(values),
            "disabled_reason": None,
            "liability": {"type": "self", "account": None} if _is_taxed(values) else None,
        },
        billing_cycle_anchor=trial_end or now,
        billing_mode={"type": values.get("billing_mode", {}).get("type", "flexible")},
        billing_schedules=[],
        cancel_at_period_end=values.get("cancel_at_period_end", False),
        cancellation_details=dict.fromkeys(("comment", "feedback", "reason")),
        collection_method=values.get("collection_method", "charge_automatically"),
        created=now,
        currency=prices[0]["currency"],
        customer=customer["id"],
        default_tax_rates=[],
        discounts=[],
        invoice_settings={"issuer": {"type": "self"}},
        items=listing([], "/v1/subscription_items"),
        metadata=values.get("metadata") or {},
        payment_settings=values.get("payment_settings"),
        start_date=now,
        status="trialing" if trial_end else "incomplete",
        test_clock=customer["test_clock"],
        trial_end=trial_end,
        trial_start=now if trial_end else None,
        **chosen,
    )
    account.add(made)
    for line, price in zip(values["items"], prices, strict=True):
        if price["recurring"] is None:
            raise refused(
                "The price specified is set to type=one_time; only recurring ones are accepted.", None, "items"
            )
        add_item(account, made, price, line.get("quantity", 1), line.get("metadata") or {})
    return made


def add_item(account: Account, subscription: Json, price: Json, quantity: int, metadata: dict[str, str]) -> Json:
    """Add an item; its period is that of the subscription."""
    now = account.now(subscription["customer"])
    rhythm = price["recurring"]
    end = subscription["trial_end"] or end_of(
        subscription["billing_cycle_anchor"], rhythm["interval"], rhythm["interval_count"], now
    )
    item = make(
        "subscription_item",
        created=now,
        current_period_end=end,
        current_period_start=now,
        discounts=[],
        metadata=metadata,
        plan=_plan(price),
        price=price,
        quantity=quantity,
        subscription=subscription["id"],
        tax_rates=[],
    )
    subscription["items"]["data"].append(account.add(item))
    return item


def bill(account: Account, subscription: Json, reason: str) -> Json:
    """Store and return the final invoice for the present period, with what waits for an invoice of its subscription."""
    customer = account.at("customer", subscription["customer"])
    invoice = _new_invoice(account, customer, subscription, auto_advance=True, billing_reason=reason)
    invoicing.take_items(account, invoice, waiting(account, subscription))
    if reason != "subscription_update":
        for item in subscription["items"]["data"]:
            _add_period(account, invoice, item)
    if invoice["automatic_tax"]["disabled_reason"]:
        subscription["automatic_tax"].update(enabled=False, disabled_reason="requires_location_inputs")
    account.emit("invoice.created", invoice)
    invoicing.finalize(account, invoice)
    subscription["latest_invoice"] = invoice["id"]
    return invoice


def _new_invoice(account: Account, customer: Json, subscription: Json, **fields: Any) -> Json:
    details = {"subscription": subscription["id"], "metadata": dict(subscription["metadata"])}
    parent = {"type": "subscription_details", "subscription_details": details, "quote_details": None}
    tax = _automatic_tax(customer, subscription)
    return invoicing.new_invoice(
        account, customer, subscription["currency"], parent=parent, automatic_tax=tax, **fields
    )


def _automatic_tax(customer: Json, subscription: Json) -> Json:
    """Return whether tax is computed on an invoice. Stripe leaves it out if the address is not enough any more."""
    wanted, possible = subscription["automatic_tax"]["enabled"], taxes.is_enough(customer["address"])
    is_on = wanted and possible
    return {
        "enabled": is_on,
        "disabled_reason": "finalization_requires_location_inputs" if wanted and not possible else None,
        "liability": {"type": "self", "account": None} if is_on else None,
        "provider": "stripe" if is_on else None,
        "status": "complete" if is_on else None,
    }


def waiting(account: Account, subscription: Json) -> list[Json]:
    """Return the items that the next invoice of a subscription takes, the oldest first."""
    currency = subscription["currency"]
    waiting = account.all("invoiceitem", customer=subscription["customer"], invoice=None, currency=currency)
    return [each for each in waiting if each["parent"] and _parent_of(each) == subscription["id"]][::-1]


@methods.add("POST", "/v1/invoices/create_preview", "InvoiceCreatePreviewParams", "subscription customer")
def preview(account: Account, values: dict[str, Any]) -> Json:
    """Return the invoice of the next renewal, which is not stored."""
    if "subscription" not in values:
        raise lacking("previews without a subscription")
    subscription = account.get("subscription", values["subscription"], "subscription")
    if subscription["cancel_at_period_end"] or subscription["status"] in ("canceled", "incomplete_expired"):
        raise refused("No upcoming invoices for the subscription", "invoice_upcoming_none", status=404)
    return next_invoice(account, subscription)


def next_invoice(account: Account, subscription: Json) -> Json:
    """Return the invoice of the next renewal as it would be now."""
    customer, items = account.at("customer", subscription["customer"]), subscription["items"]["data"]
    end = min(each["current_period_end"] for each in items)
    made = _new_invoice(account, customer, subscription, billing_reason="upcoming", next_payment_attempt=end)
    for item in waiting(account, subscription):
        invoicing.add_item_line(account, made, item)
    for item in items:
        invoicing.add_line(account, made, item["price"]["unit_amount"] * item["quantity"], None)
    invoicing.apply_balance(made, customer)
    account.delete(made)
    return made


def _add_period(account: Account, invoice: Json, item: Json) -> None:
    details = {"subscription": item["subscription"], "subscription_item": item["id"], "proration": False}
    details |= {"invoice_item": None, "proration_details": None}
    price = item["price"]
    by = {"price": price["id"], "product": price["product"]}
    product = account.at("product", price["product"])
    invoicing.add_line(
        account,
        invoice,
        price["unit_amount"] * item["quantity"],
        f"{item['quantity']} x {product['name']}",
        parent={
            "type": "subscription_item_details",
            "subscription_item_details": details,
            "invoice_item_details": None,
        },
        period={"start": item["current_period_start"], "end": item["current_period_end"]},
        pricing={"type": "price_details", "price_details": by, "unit_amount_decimal": price["unit_amount_decimal"]},
        quantity=item["quantity"],
        subscription=item["subscription"],
    )


_UPDATE = (
    "cancel_at_period_end default_payment_method description metadata items.id items.quantity items.price"
    " items.deleted proration_behavior payment_behavior off_session"
)


@methods.add("POST", "/v1/subscriptions/{}", "SubscriptionUpdateParams", _UPDATE)
def update(account: Account, values: dict[str, Any], subscription_id: str) -> Json:
    """Change a subscription; changed quantities and prices are charged in proportion."""
    made = account.at("subscription", subscription_id)
    if made["status"] in ("canceled", "incomplete_expired"):
        raise refused("A canceled subscription can only update its cancellation_details and metadata.", None, "id")
    _check_method(account, values, account.at("customer", made["customer"]))
    before = {"items": _quantities(made)}
    fields = changes(made, values, "cancel_at_period_end default_payment_method description")
    before |= {name: made[name] for name in fields if made[name] != fields[name]}
    made.update(fields)
    if "cancel_at_period_end" in values:
        _plan_end(account, made)
    for index, line in enumerate(values.get("items", [])):
        _change_item(account, made, line, f"items[{index}]", values.get("proration_behavior", "create_prorations"))
    if before["items"] == _quantities(made):
        del before["items"]
    if before:
        account.emit("customer.subscription.updated", made, before)
    if values.get("proration_behavior") == "always_invoice" and "items" in before:
        _try_to_collect(account, bill(account, made, "subscription_update"))
    return made


def _change_item(account: Account, subscription: Json, line: dict[str, Any], param: str, behaviour: str) -> None:
    check_quantity(line.get("quantity", 0), param)
    if "price" in line:
        kept = [each["price"] for each in subscription["items"]["data"] if each["id"] != line.get("id")]
        price = price_of(account, {"price": line["price"]}, param)
        _check_prices(account, account.at("customer", subscription["customer"]), [*kept, price])
    if "id" not in line:
        price = price_of(account, {"price": line.get("price")}, param)
        add_item(account, subscription, price, line.get("quantity", 1), {})
        return
    item = next((each for each in subscription["items"]["data"] if each["id"] == line["id"]), None)
    if item is None:
        raise refused(f"Invalid subscription item ID: {line['id']}", "resource_missing", f"{param}[id]")
    old = item["price"]["unit_amount"] * item["quantity"]
    if line.get("deleted"):
        subscription["items"]["data"].remove(item)
        new = 0
    else:
        item["price"] = price_of(account, {"price": line["price"]}, param) if "price" in line else item["price"]
        item.update(quantity=line.get("quantity", item["quantity"]), plan=_plan(item["price"]))
        new = item["price"]["unit_amount"] * item["quantity"]
    if behaviour != "none" and subscription["status"] in ("active", "past_due") and old != new:
        _prorate(account, subscription, item, -old, "Unused time")
        _prorate(account, subscription, item, new, "Remaining time")


def _prorate(account: Account, subscription: Json, item: Json, amount: int, text: str) -> None:
    now, end = account.now(subscription["customer"]), item["current_period_end"]
    whole = end - item["current_period_start"]
    part = (abs(amount) * max(0, end - now) + whole // 2) // whole * (1 if amount > 0 else -1)
    if part == 0:
        return
    details = {"subscription": subscription["id"], "subscription_item": item["id"]}
    new_item(
        account,
        account.at("customer", subscription["customer"]),
        part,
        subscription["currency"],
        description=f"{text} on {item['quantity']} x {account.at('product', item['price']['product'])['name']}",
        parent={"type": "subscription_details", "subscription_details": details},
        period={"start": now, "end": end},
        proration=True,
    )


def _plan_end(account: Account, subscription: Json) -> None:
    if subscription["cancel_at_period_end"]:
        ends = max(each["current_period_end"] for each in subscription["items"]["data"])
        subscription.update(cancel_at=ends, canceled_at=account.now(subscription["customer"]))
        subscription["cancellation_details"]["reason"] = "cancellation_requested"
    else:
        subscription.update(cancel_at=None, canceled_at=None)
        subscription["cancellation_details"]["reason"] = None


@methods.add("DELETE", "/v1/subscriptions/{}", "SubscriptionCancelParams")
def cancel(account: Account, _values: dict[str, Any], subscription_id: str) -> Json:
    """End a subscription now, without a refund."""
    made = account.at("subscription", subscription_id)
    if made["status"] == "canceled":
        raise refused(f"No such subscription: '{subscription_id}'", "resource_missing", "id", status=404)
    made["cancellation_details"]["reason"] = "cancellation_requested"
    cancel_now(account, made)
    return made


def cancel_now(account: Account, subscription: Json) -> None:
    """End a subscription."""
    now = account.now(subscription["customer"])
    subscription.update(status="canceled", ended_at=now, canceled_at=subscription["canceled_at"] or now)
    account.emit("customer.subscription.deleted", subscription)


def _is_listed(made: Json, values: dict[str, Any]) -> bool:
    """Select by state and price; without a state, those that have not ended."""
    status, price = values.get("status"), values.get("price")
    by_status = made["status"] != "canceled" if status is None else status in ("all", made["status"])
    return by_status and (price is None or any(item["price"]["id"] == price for item in made["items"]["data"]))


methods.add_retrieve("subscription")
methods.add_list("subscription", "customer test_clock", also="status price", fits=_is_listed)


@methods.add("DELETE", "/v1/customers/{}", "CustomerDeleteParams")
def delete_customer(account: Account, _values: dict[str, Any], customer_id: str) -> Json:
    """Delete a customer, and end its subscriptions."""
    made = account.at("customer", customer_id)
    for each in account.all("subscription", customer=customer_id):
        if each["status"] != "canceled":
            cancel_now(account, each)
    account.emit("customer.deleted", made)
    return account.delete(made)


def follow_invoice(account: Account, invoice: Json) -> None:
    """Let the subscription of an invoice follow its payment."""
    made = account.find("subscription", invoicing.subscription_of(invoice))
    if made is None or made["status"] in ("canceled", "incomplete_expired"):
        return
    if invoice["status"] == "paid":
        account.change(made, "customer.subscription.updated", status="active")
    elif made["status"] == "active" and invoice["billing_reason"] == "subscription_cycle":
        account.change(made, "customer.subscription.updated", status="past_due")


invoicing.LISTENERS.append(follow_invoice)


def _try_to_collect(account: Account, invoice: Json) -> None:
    if invoice["status"] == "open":
        try:
            invoicing.collect(account, invoice)
        except StripeError:
            # The update stands: the invoice stays open, and its events have told of the failure.
            return


def _quantities(subscription: Json) -> list[tuple[str, str, int]]:
    return [(each["id"], each["price"]["id"], each["quantity"]) for each in subscription["items"]["data"]]


def _parent_of(item: Json) -> str:
    return item["parent"]["subscription_details"]["subscription"]


def _plan(price: Json) -> Json:
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": recurring["usage_type"],
    }
