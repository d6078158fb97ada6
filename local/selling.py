"""A local stage with billing: its settings, and its connection to the stand-in for Stripe."""

import json
import re
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import text

from local.database import OWNER, LocalDatabase
from local.processes import READY_SECONDS
from local.stripe import DEVELOPMENT_KEY, StripeStandIn
from opencode_cloud.kit.sql import Database

WEBHOOK = "/stripe/webhook"


def stage_file(state: Path, stripe: StripeStandIn, base: Path | None) -> Path:
    """Write the settings of a stage that sells credit by the stand-in, after those of `base`; return the file.

    Settings of the base in its sections `[stripe]` and `[billing]` stay.
    """
    given = base.read_text() if base else ""
    selling = {
        "api_url": stripe.url,
        "processing_fee": "0.044+30",
        "invoice_seller": "Example GmbH",
        "seat_price": "20.00",
        "seat_credit": "5.00",
    }
    for section, settings in {"billing": {"enabled": True}, "stripe": selling}.items():
        given = _with_defaults(given, section, settings)
    file = state / "stage-with-billing.toml"
    file.write_text(given)
    return file


def _with_defaults(given: str, section: str, settings: Mapping[str, str | bool]) -> str:
    """Return a document with the settings that a section of it lacks."""
    known = tomllib.loads(given).get(section)
    lacking = [f"{name} = {json.dumps(value)}" for name, value in settings.items() if name not in (known or {})]
    if known is None:
        return "\n".join([given, f"[{section}]", *lacking, ""])
    return re.sub(rf"^\[{section}\].*$", lambda head: "\n".join([head[0], *lacking]), given, count=1, flags=re.M)


def connect(stripe: StripeStandIn, url: str, secrets_manager: Any, secret_arn: str) -> None:
    """Register the webhook of the stage at `url` with the stand-in, and store key and secret as an operator does."""
    # The stand-in begins empty at each start, so there is no earlier endpoint.
    wanted = {"url": f"{url}{WEBHOOK}", "enabled_events[0]": "*"}
    body = urllib.parse.urlencode(wanted).encode()
    headers = {"Authorization": f"Bearer {DEVELOPMENT_KEY}"}
    request = urllib.request.Request(f"{stripe.url}/v1/webhook_endpoints", body, headers)  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:  # noqa: S310 - our own
        endpoint = json.load(answer)
    document = {"api_key": DEVELOPMENT_KEY, "webhook_secrets": [endpoint["secret"]]}
    secrets_manager.put_secret_value(SecretId=secret_arn, SecretString=json.dumps(document))


def forget_customers(database: LocalDatabase) -> None:
    """Forget the customers and unfinished purchases of an earlier stand-in, which kept them in memory only."""
    owner = Database(database.access.url(OWNER))
    try:
        with owner.transaction() as connection:
            connection.execute(text("DELETE FROM payment_customers"))
            connection.execute(text("UPDATE top_ups SET state = 'expired' WHERE state IN ('open', 'pending')"))
            connection.execute(text("UPDATE plans SET state = 'ended', live = NULL WHERE live"))
            connection.execute(text("UPDATE auto_reloads SET enabled = 0, state = 'idle', top_up_id = ''"))
    finally:
        owner.dispose()
