"""Environments of functions, built from what the functions declare (functions/settings.json, by `make settings`)."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from infra.packaging import ROOT
from infra.service_settings import GitHub, Stripe
from infra.stage import Stage

DOCUMENT = ROOT / "functions" / "settings.json"
DECLARED: Mapping[str, Mapping[str, Any]] = json.loads(DOCUMENT.read_text())
"""The environment variables of each function: whether one is required, and its meaning."""


class InvalidEnvironment(Exception):
    """A function would get a variable that it does not declare, or would miss one that it requires."""


def environment(function: str, shared: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of `function`.

    Args:
        function: Its name.
        shared: Values that many functions need; the function gets those that it declares.
        own: Values for this function only.

    Raises:
        InvalidEnvironment: The function does not declare one of `own`, or a variable that it requires has no value.
    """
    declared = DECLARED[function]
    if unknown := sorted(set(own) - set(declared)):
        raise InvalidEnvironment(
            f"The function {function} does not declare {', '.join(unknown)}: "
            f"add it to the settings in composition/{function}.py and run `make settings`."
        )
    values = {**shared, **own}
    if missing := sorted(name for name, it in declared.items() if it["required"] and name not in values):
        raise InvalidEnvironment(
            f"The function {function} requires {', '.join(missing)}: give it a value in infra, "
            f"{', '.join(declared[name]['meaning'] for name in missing)}."
        )
    return {name: values[name] for name in declared if name in values}


def of_stage(stage: Stage) -> dict[str, str]:
    """Return the variables whose values are settings of the stage."""
    github, stripe = stage.github or GitHub(), stage.stripe or Stripe()
    return {
        "PUBLIC_URL": stage.public_url,
        "SHARE_LIFETIME_SECONDS": str(stage.share_lifetime_seconds),
        "CREATE_LIMIT_PER_MINUTE": str(stage.creates_per_minute),
        "ANONYMOUS_SHARING": _flag(stage.anonymous_sharing),
        "ANONYMOUS_SHARE_MEGABYTES": str(stage.anonymous_share_megabytes),
        "ANONYMOUS_SHARE_ITEMS": str(stage.anonymous_share_items),
        "ANONYMOUS_NETWORK_MEGABYTES": str(stage.anonymous_network_megabytes),
        "ANONYMOUS_NETWORK_ITEMS": str(stage.anonymous_network_items),
        "ANONYMOUS_REDACTION": stage.anonymous_redaction,
        "ANONYMOUS_SYNCS_PER_SECOND": str(stage.anonymous_syncs_per_second),
        "VIEWERS_PER_SHARE": str(stage.viewers_per_share),
        "OTLP_ENVIRONMENT": stage.name,
        "RELEASES_URL": stage.releases_url,
        "OTLP_ENDPOINT": stage.otlp_endpoint,
        "REQUESTS_PER_MINUTE": str(stage.requests_per_minute),
        "REDIRECT_URIS": " ".join(stage.redirect_uris),
        "OPERATORS": " ".join(stage.operators),
        "LOGIN_METHODS": json.dumps(stage.login_methods, sort_keys=True),
        "BILLING": _flag(stage.billing.enabled),
        "PRIVATE_PROVIDERS": _flag(stage.private_providers),
        "CHECK_MAIL_DOMAINS": _flag(stage.check_mail_domains),
        "DNS_SERVER": stage.dns_server,
        "MAIL_FROM": stage.mail_from,
        "USAGE_RETENTION_DAYS": str(stage.usage_retention_days),
        "GITHUB_API_URL": github.api_url,
        "GITHUB_OIDC_ISSUER": github.oidc_issuer,
        "STRIPE_API_URL": stripe.api_url,
        "PROCESSING_FEE": stripe.processing_fee,
        "LEAST_TOP_UP": str(stripe.least_top_up),
        "MOST_TOP_UP": str(stripe.most_top_up),
        "INVOICE_SELLER": stripe.invoice_seller,
        "STRIPE_TAX": _flag(stripe.tax),
        "SEAT_PRICE": _micro_cents(stripe.seat_price),
        "SEAT_CREDIT": _micro_cents(stripe.seat_credit),
        "RENEWAL_NOTICE_DAYS": str(stripe.renewal_notice_days),
        "ANONYMOUS_MODELS": _flag(stage.anonymous_models),
        "ANONYMOUS_REQUESTS_PER_DAY": str(stage.anonymous_requests_per_day),
    }


def _micro_cents(dollars: str) -> str:
    return str(int(Decimal(dollars) * 100_000_000))


def _flag(value: bool) -> str:
    return str(int(value))
