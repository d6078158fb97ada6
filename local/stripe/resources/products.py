"""Products and prices."""

from typing import Any

from local.stripe.account import Account
from local.stripe.amounts import check_price, currency_of
from local.stripe.errors import invalid, lacking, missing, refused
from local.stripe.objects import Json, changes, make
from local.stripe.routing import Methods

methods = Methods()
LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}
"""The most intervals between two invoices: three years."""


@methods.add("POST", "/v1/products", "ProductCreateParams", "id name description metadata active unit_label tax_code")
def create_product(account: Account, values: dict[str, Any]) -> Json:
    """Create a product."""
    if "id" in values and account.any(values["id"]):
        raise refused("Product already exists.", "resource_already_exists", "id")
    now = account.now()
    chosen = {name: values[name] for name in ("id", "description", "unit_label", "tax_code") if name in values}
    made = make(
        "product",
        active=values.get("active", True),
        created=now,
        images=[],
        marketing_features=[],
        metadata=values.get("metadata") or {},
        name=values["name"],
        type="service",
        updated=now,
        **chosen,
    )
    account.emit("product.created", account.add(made))
    return made


@methods.add("POST", "/v1/products/{}", "ProductUpdateParams", "name description metadata active unit_label")
def update_product(account: Account, values: dict[str, Any], product_id: str) -> Json:
    """Change a product."""
    made = account.at("product", product_id)
    return account.change(made, "product.updated", **changes(made, values, "name description active unit_label"))


methods.add_retrieve("product")
methods.add_list("product", "active")


_PRICE = "active currency product unit_amount recurring.interval recurring.interval_count recurring.usage_type"


@methods.add(
    "POST",
    "/v1/prices",
    "PriceCreateParams",
    f"{_PRICE} lookup_key transfer_lookup_key nickname metadata tax_behavior product_data",
)
def create_price(account: Account, values: dict[str, Any]) -> Json:
    """Create a price."""
    if ("product" in values) == ("product_data" in values):
        raise refused("You must specify exactly one of product and product_data.", "parameter_missing", "product")
    if "unit_amount" not in values:
        raise missing("unit_amount")
    if "product_data" in values:
        values["product"] = create_product(account, values["product_data"])["id"]
    product = account.get("product", values["product"], "product")
    made = new_price(account, values, product["id"])
    account.emit("price.created", made)
    return made


def new_price(account: Account, values: dict[str, Any], product_id: str) -> Json:
    """Store and return a price of a product."""
    recurring, lookup_key = values.get("recurring"), values.get("lookup_key")
    check_price(values["unit_amount"], "unit_amount")
    currency = currency_of(values["currency"])
    if lookup_key:
        _take_key(account, lookup_key, transfer=values.get("transfer_lookup_key", False))
    made = make(
        "price",
        active=values.get("active", True),
        billing_scheme="per_unit",
        created=account.now(),
        currency=currency,
        lookup_key=lookup_key,
        metadata=values.get("metadata") or {},
        nickname=values.get("nickname"),
        product=product_id,
        recurring=_recurring(recurring) if recurring else None,
        tax_behavior=values.get("tax_behavior", "unspecified"),
        type="recurring" if recurring else "one_time",
        unit_amount=values["unit_amount"],
        unit_amount_decimal=str(values["unit_amount"]),
    )
    return account.add(made)


def _take_key(account: Account, lookup_key: str, *, transfer: bool) -> None:
    """Check that no price has a lookup key, also no archived one; or take it from that price."""
    for other in account.all("price", lookup_key=lookup_key):
        if not transfer:
            raise refused(f"A price (`{other['id']}`) already uses that lookup key.", None, "lookup_key")
        account.change(other, "price.updated", lookup_key=None)


def price_of(account: Account, line: dict[str, Any], param: str) -> Json:
    """Return the price of a line: an existing one, or one made from `price_data`.

    Raises:
        StripeError: It has neither or both, or an unknown one.
    """
    if ("price" in line) == ("price_data" in line):
        raise refused(f"You must specify exactly one of price and price_data for {param}.", "parameter_missing", param)
    if "price" in line:
        price = account.get("price", line["price"], f"{param}[price]")
        if not price["active"]:
            raise refused(f"The price specified is inactive: {price['id']}.", None, f"{param}[price]")
        return price
    data = line["price_data"]
    if "unit_amount" not in data:
        raise missing(f"{param}[price_data][unit_amount]")
    if "product" in data:
        product_id = account.get("product", data["product"], f"{param}[price_data][product]")["id"]
    elif "product_data" in data:
        product_id = create_product(account, data["product_data"])["id"]
    else:
        raise missing(f"{param}[price_data][product]")
    return new_price(account, data | {"active": False}, product_id)


@methods.add("POST", "/v1/prices/{}", "PriceUpdateParams", "active nickname metadata lookup_key transfer_lookup_key")
def update_price(account: Account, values: dict[str, Any], price_id: str) -> Json:
    """Change a price; its amount never changes."""
    made = account.at("price", price_id)
    if values.get("lookup_key") and values["lookup_key"] != made["lookup_key"]:
        _take_key(account, values["lookup_key"], transfer=values.get("transfer_lookup_key", False))
    return account.change(made, "price.updated", **changes(made, values, "active nickname lookup_key"))


methods.add_retrieve("price")
methods.add_list(
    "price",
    "active product",
    also="lookup_keys",
    fits=lambda made, values: "lookup_keys" not in values or made["lookup_key"] in values["lookup_keys"],
)


def _check_rhythm(interval: str, count: int) -> None:
    if count < 1:
        raise invalid("This value must be greater than or equal to 1.", None, "recurring[interval_count]")
    if count > LONGEST[interval]:
        message = "Invalid recurring[interval_count]: the maximum number of intervals is three years."
        raise refused(message, None, "recurring[interval_count]")


def _recurring(given: dict[str, Any]) -> Json:
    usage_type = given.get("usage_type", "licensed")
    if usage_type != "licensed":
        raise lacking(f"prices of the usage type {usage_type}")
    _check_rhythm(given["interval"], given.get("interval_count", 1))
    counted = {"interval_count": given.get("interval_count", 1), "trial_period_days": None, "meter": None}
    return {"interval": given["interval"], "usage_type": usage_type, **counted}
