"""Events, and the endpoints that they are posted to."""

import secrets
from typing import Any
from urllib.parse import urlsplit

from local.stripe.account import API_VERSION, Account
from local.stripe.deliveries import Secret
from local.stripe.errors import lacking, refused
from local.stripe.listing import page
from local.stripe.objects import Json, changes, make
from local.stripe.routing import Methods

methods = Methods()
TYPES = 20
"""The most types that a list of events filters by."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


methods.add_retrieve("event")


@methods.add(
    "GET", "/v1/events", "EventListParams", "created delivery_success type types limit starting_after ending_before"
)
def list_all(account: Account, values: dict[str, Any]) -> Json:
    """List events."""
    types: list[str] = values.get("types", [])
    if len(types) > TYPES or (types and "type" in values):
        raise refused(f"Give `type`, or at most {TYPES} `types`.", None, "types")
    wanted = {*types, *([values["type"]] if "type" in values else [])}
    delivered = values.get("delivery_success")

    def fits(event: Json) -> bool:
        return (not wanted or event["type"] in wanted) and delivered in (None, event["pending_webhooks"] == 0)

    return page(filter(fits, account.all("event")), values, "/v1/events")


@methods.add(
    "POST",
    "/v1/webhook_endpoints",
    "WebhookEndpointCreateParams",
    "url enabled_events api_version description metadata",
)
def create_endpoint(account: Account, values: dict[str, Any]) -> Json:
    """Create an endpoint. Only this answer shows its secret."""
    _check(values)
    if values.get("api_version", API_VERSION) != API_VERSION:
        raise lacking(f"events of another API version than {API_VERSION}")
    made = make(
        "webhook_endpoint",
        api_version=values.get("api_version"),
        created=account.now(),
        description=values.get("description") or None,
        enabled_events=values["enabled_events"],
        metadata=values.get("metadata") or {},
        status="enabled",
        url=values["url"],
    )
    account.add(made)
    account.deliveries.secrets[made["id"]] = [Secret(new_secret())]
    return made | {"secret": account.deliveries.secrets[made["id"]][0].text}


@methods.add(
    "POST",
    "/v1/webhook_endpoints/{}",
    "WebhookEndpointUpdateParams",
    "url enabled_events disabled description metadata",
)
def update_endpoint(account: Account, values: dict[str, Any], endpoint_id: str) -> Json:
    """Change an endpoint."""
    made = account.at("webhook_endpoint", endpoint_id)
    _check(values)
    made.update(changes(made, values, "url enabled_events description"))
    if "disabled" in values:
        made["status"] = "disabled" if values["disabled"] else "enabled"
    return made


methods.add_retrieve("webhook_endpoint")
methods.add_list("webhook_endpoint")


@methods.add("DELETE", "/v1/webhook_endpoints/{}", "WebhookEndpointDeleteParams")
def delete_endpoint(account: Account, _values: dict[str, Any], endpoint_id: str) -> Json:
    """Delete an endpoint."""
    return account.delete(account.at("webhook_endpoint", endpoint_id))


def new_secret() -> str:
    """Return a signing secret."""
    return f"whsec_{secrets.token_hex(16)}"


def _check(values: dict[str, Any]) -> None:
    if "url" in values and urlsplit(str(values["url"])).hostname not in LOOPBACK:
        # Stripe refuses these addresses; the stand-in refuses all others, so that nothing leaves the machine.
        raise refused("Invalid URL: the stand-in posts to this machine only.", "url_invalid", "url")
