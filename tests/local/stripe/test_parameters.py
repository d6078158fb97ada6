"""The stand-in refuses what Stripe refuses, and says so where Stripe knows more than it does."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from local.stripe import parameters
from local.stripe.server import METHODS
from tests.local.stripe.conftest import error_of
from tests.stripe_stand_in import StandIn


def test_every_parameter_that_a_method_acts_on_is_one_of_the_library() -> None:
    unknown = [
        (method.parameters, path)
        for method in METHODS
        for path in method.handled
        if path.split(".")[0] not in parameters.names(method.parameters)
    ]

    assert unknown == []


def test_an_unknown_parameter_is_refused_by_its_name(client: stripe.StripeClient) -> None:
    misspelled: Any = {"emial": "a@example.com"}
    error = error_of(lambda: client.v1.customers.create(misspelled))

    assert (type(error), error.code, error.error.param) == (stripe.InvalidRequestError, "parameter_unknown", "emial")


def test_an_unknown_member_is_refused_by_its_path(client: stripe.StripeClient) -> None:
    address: Any = {"town": "Ulm"}
    error = error_of(lambda: client.v1.customers.create({"address": address}))

    assert (error.code, error.error.param) == ("parameter_unknown", "address[town]")


def test_a_required_parameter_that_is_missing_is_named(client: stripe.StripeClient) -> None:
    incomplete: Any = {"currency": "usd"}
    error = error_of(lambda: client.v1.payment_intents.create(incomplete))

    assert (error.code, error.error.param) == ("parameter_missing", "amount")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ("amount=12.5&currency=usd", "amount"),
        ("amount=many&currency=usd", "amount"),
        ("amount=100&currency=usd&confirm=yes", "confirm"),
        ("amount=100&currency=usd&metadata=x", "metadata"),
        ("amount=100&currency=usd&allowed_payment_method_types=card", "allowed_payment_method_types"),
        ("amount=100&currency=usd&setup_future_usage=always", "setup_future_usage"),
        ("amount=100&currency=usd&customer=", "customer"),
    ],
)
def test_a_parameter_that_is_not_of_its_type_is_refused(stand_in: StandIn, body: str, param: str) -> None:
    answer = stand_in.raw("POST", "/v1/payment_intents", body)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["param"] == param


def test_metadata_has_bounds(client: stripe.StripeClient) -> None:
    client.v1.customers.create({"metadata": {f"k{number}": "x" for number in range(50)}})
    for metadata in ({f"k{n}": "x" for n in range(51)}, {"k" * 41: "x"}, {"k": "x" * 501}):
        assert error_of(lambda given=metadata: client.v1.customers.create({"metadata": given})).http_status == 400


def test_an_empty_value_unsets_a_key_of_metadata(client: stripe.StripeClient) -> None:
    made = client.v1.customers.create({"metadata": {"a": "1", "b": "2"}})

    changed = client.v1.customers.update(made.id, {"metadata": {"a": "", "c": "3"}})

    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}


def test_json_is_no_form(stand_in: StandIn) -> None:
    answer = stand_in.raw("POST", "/v1/customers", '{"email": "a@b"}', **{"Content-Type": "application/json"})

    assert answer.status_code == 400


def test_a_parameter_that_only_stripe_acts_on_is_answered_with_501(stand_in: StandIn) -> None:
    error = error_of(
        lambda: stand_in.client().v1.payment_intents.create(
            {"amount": 2000, "currency": "usd", "capture_method": "manual"}
        )
    )

    assert error.http_status == 501
    assert "capture_method" in str(error)


def test_a_method_that_only_stripe_has_is_answered_with_501_and_not_retried(stand_in: StandIn) -> None:
    answer = stand_in.raw("POST", "/v1/coupons", "percent_off=5")

    assert (answer.status_code, answer.headers["Stripe-Should-Retry"]) == (501, "false")
    assert error_of(lambda: stand_in.client(retries=2).v1.coupons.create({"percent_off": 5})).http_status == 501


def test_a_request_needs_a_key_of_the_test_mode(stand_in: StandIn) -> None:
    for authorization in ("", "Bearer sk_live_x", "Basic x"):
        assert stand_in.raw("GET", "/v1/customers", Authorization=authorization).status_code == 401


def test_another_api_version_is_answered_with_501(stand_in: StandIn) -> None:
    assert stand_in.raw("GET", "/v1/customers", **{"Stripe-Version": "2024-06-20"}).status_code == 501


def test_accounts_of_different_keys_share_nothing(stand_in: StandIn) -> None:
    made = stand_in.client().v1.customers.create({})
    other = StandIn(stand_in.server, f"{stand_in.key}x").client()

    assert error_of(lambda: other.v1.customers.retrieve(made.id)).code == "resource_missing"


def test_other_names_of_this_machine_are_refused(stand_in: StandIn) -> None:
    assert stand_in.raw("GET", "/v1/customers", Host="stripe.example.com").status_code == 421


def test_a_list_comes_newest_first_in_pages(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    made = [
        client.v1.payment_intents.create({"amount": 100 + n, "currency": "usd", "customer": customer.id}).id
        for n in range(5)
    ]
    listed = client.v1.payment_intents.list({"customer": customer.id, "limit": 2})

    assert [each.id for each in listed.data] == made[:-3:-1]
    assert listed.has_more
    assert [each.id for each in listed.auto_paging_iter()] == made[::-1]
    newer = client.v1.payment_intents.list({"customer": customer.id, "ending_before": made[1], "limit": 2})
    assert [each.id for each in newer.data] == [made[3], made[2]]
    assert error_of(lambda: client.v1.payment_intents.list({"limit": 101})).error.param == "limit"


def test_ids_expand_to_objects_also_in_lists(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    client.v1.payment_intents.create(
        {
            "amount": 2123,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": "pm_card_visa",
            "allowed_payment_method_types": ["card"],
            "confirm": True,
        }
    )

    listed = client.v1.payment_intents.list(
        {"customer": customer.id, "expand": ["data.latest_charge.balance_transaction"]}
    )

    charge = listed.data[0].latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert charge.balance_transaction.net == 2123 - charge.balance_transaction.fee
    refused = error_of(lambda: client.v1.payment_intents.list({"expand": ["data.amount.colour"]}))
    assert "cannot be expanded" in str(refused)
