"""Test clocks, and what their time does to subscriptions. Without a clock, nothing is renewed."""

from collections.abc import Callable, Iterator
from typing import Any

from local.stripe.account import Account
from local.stripe.errors import StripeError, refused
from local.stripe.objects import Json, make
from local.stripe.resources import invoicing
from local.stripe.resources.periods import end_of
from local.stripe.resources.subscriptions import bill, cancel_now, next_invoice, waiting
from local.stripe.routing import Methods

methods = Methods()
LIFETIME = 30 * 86400
UPCOMING = 7 * 86400
"""Seconds before a renewal at which `invoice.upcoming` tells of it."""
RETRY = 3 * 86400
ATTEMPTS = 4
"""Attempts to collect an invoice of a renewal; after the last one the subscription ends."""
EXPIRY = 23 * 3600
"""Seconds after which an unpaid first invoice ends its subscription."""
Due = tuple[int, Callable[[], None]]


@methods.add("POST", "/v1/test_helpers/test_clocks", "test_helpers.TestClockCreateParams", "frozen_time name")
def create(account: Account, values: dict[str, Any]) -> Json:
    """Create a clock."""
    made = make(
        "test_helpers.test_clock",
        created=account.now(),
        deletes_after=account.now() + LIFETIME,
        frozen_time=values["frozen_time"],
        name=values.get("name"),
        status="ready",
        status_details={},
    )
    account.emit("test_helpers.test_clock.created", account.add(made))
    return made


methods.add_retrieve("test_helpers.test_clock")
methods.add_list("test_helpers.test_clock")


@methods.add("DELETE", "/v1/test_helpers/test_clocks/{}", "test_helpers.TestClockDeleteParams")
def delete(account: Account, _values: dict[str, Any], clock_id: str) -> Json:
    """Delete a clock and its customers."""
    made = account.at("test_helpers.test_clock", clock_id)
    for customer in account.all("customer", test_clock=clock_id):
        account.delete(customer)
    return account.delete(made)


@methods.add("POST", "/v1/test_helpers/test_clocks/{}/advance", "test_helpers.TestClockAdvanceParams", "frozen_time")
def advance(account: Account, values: dict[str, Any], clock_id: str) -> Json:
    """Advance a clock: everything that falls due on the way happens in order."""
    clock = account.at("test_helpers.test_clock", clock_id)
    target = values["frozen_time"]
    if target <= clock["frozen_time"]:
        raise refused("You can only move the clock forward in time.", None, "frozen_time")
    subscriptions = list(account.all("subscription", test_clock=clock_id))
    shortest = min((_interval(each) for each in subscriptions if _lives(each)), default=None)
    if shortest is not None and target - clock["frozen_time"] > 2 * shortest:
        message = "You cannot advance a clock by more than two intervals of the shortest subscription at once."
        raise refused(message, None, "frozen_time")
    account.emit("test_helpers.test_clock.advancing", clock)
    # A moment that was handled is not due again: each handler moves it beyond the present.
    while due := min(_due(account, subscriptions, target), key=lambda each: each[0], default=None):
        clock["frozen_time"] = max(clock["frozen_time"], due[0])
        due[1]()
    clock["frozen_time"] = target
    account.emit("test_helpers.test_clock.ready", clock)
    return {**clock, "status": "advancing"}


def _due(account: Account, subscriptions: list[Json], target: int) -> Iterator[Due]:
    for each in filter(_lives, subscriptions):
        for at, happen in _moments(account, each):
            if at <= target:
                yield at, happen


def _moments(account: Account, subscription: Json) -> Iterator[Due]:
    invoice = account.find("invoice", subscription["latest_invoice"])
    if subscription["status"] == "incomplete":
        yield subscription["created"] + EXPIRY, lambda: _expire(account, subscription)
        return
    if invoice and invoice["status"] == "open" and invoice["next_payment_attempt"]:
        yield invoice["next_payment_attempt"], lambda: _retry(account, subscription, invoice)
    end = min(each["current_period_end"] for each in subscription["items"]["data"])
    if account.told_upcoming.get(subscription["id"]) != end and not subscription["cancel_at_period_end"]:
        yield end - UPCOMING, lambda: _announce(account, subscription, end)
    yield end, lambda: _renew(account, subscription, end)


def _announce(account: Account, subscription: Json, end: int) -> None:
    account.told_upcoming[subscription["id"]] = end
    # An announced invoice does not exist yet: its event has no id.
    made = next_invoice(account, subscription)
    account.emit("invoice.upcoming", {name: value for name, value in made.items() if name != "id"})


def _renew(account: Account, subscription: Json, end: int) -> None:
    if subscription["cancel_at_period_end"]:
        if waiting(account, subscription):
            bill(account, subscription, "subscription_update")
        cancel_now(account, subscription)
        return
    for item in subscription["items"]["data"]:
        rhythm = item["price"]["recurring"]
        until = end_of(subscription["billing_cycle_anchor"], rhythm["interval"], rhythm["interval_count"], end)
        item.update(current_period_start=end, current_period_end=until)
    fields = {"status": "active"} if subscription["status"] == "trialing" else {}
    subscription.update(fields)
    account.emit("customer.subscription.updated", subscription, {"items": {}})
    invoice = bill(account, subscription, "subscription_cycle")
    if invoice["status"] == "open":
        _retry(account, subscription, invoice)


def _retry(account: Account, subscription: Json, invoice: Json) -> None:
    attempts = invoice["attempt_count"] + 1
    last = attempts >= ATTEMPTS
    invoice["next_payment_attempt"] = None if last else account.now(subscription["customer"]) + RETRY
    try:
        invoicing.collect(account, invoice)
    except StripeError as error:
        invoice["attempt_count"] = attempts
        if error.code == "resource_missing":
            account.emit("invoice.payment_failed", invoice)
            account.change(subscription, "customer.subscription.updated", status="past_due")
        if last:
            subscription["cancellation_details"]["reason"] = "payment_failed"
            cancel_now(account, subscription)


def _expire(account: Account, subscription: Json) -> None:
    account.change(subscription, "customer.subscription.updated", status="incomplete_expired")
    invoice = account.find("invoice", subscription["latest_invoice"])
    if invoice and invoice["status"] == "open":
        invoicing.void(account, invoice, "void", "invoice.voided")


def _lives(subscription: Json) -> bool:
    return subscription["status"] not in ("canceled", "incomplete_expired")


def _interval(subscription: Json) -> int:
    days = {"day": 1, "week": 7, "month": 31, "year": 366}
    rhythms = [each["price"]["recurring"] for each in subscription["items"]["data"]]
    return min(days[each["interval"]] * each["interval_count"] * 86400 for each in rhythms)
