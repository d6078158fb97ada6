"""Base addresses of model providers, and the request that tests a provider's key."""

from __future__ import annotations

from collections.abc import Mapping

from opencode_cloud.keys.models import Provider, invalid_base_url
from opencode_cloud.kit.outbound_http import checked

DEFAULTS: Mapping[Provider, str] = {
    Provider.OPENAI: "https://api.openai.com/v1",
    Provider.ANTHROPIC: "https://api.anthropic.com/v1",
    Provider.GOOGLE: "https://generativelanguage.googleapis.com/v1beta",
}
ANTHROPIC_VERSION = "2023-06-01"


def clean_base_url(provider: Provider, base_url: str | None, *, private: bool) -> str | None:
    """Return the base address of a provider's API, None for the provider's default; raises ``invalid_base_url``.

    Unless the deployment allows ``private`` addresses, it must be https and not in a private network.
    """
    if base_url is None:
        if provider is Provider.OPENAI_COMPATIBLE:
            raise invalid_base_url("a provider of this kind needs one")
        return None
    try:
        parts = checked(base_url, private=private)
    except ValueError as error:
        raise invalid_base_url(str(error)) from error
    if parts.query:
        raise invalid_base_url("it must be host and path only, without query")
    return parts.geturl().rstrip("/")


def models_request(provider: Provider, base_url: str | None, secret: str) -> tuple[str, dict[str, str]]:
    """Return address and headers of a request for a provider's models, the cheapest request that needs a valid key."""
    base = base_url or DEFAULTS[provider]
    match provider:
        case Provider.ANTHROPIC:
            return f"{base}/models?limit=1", {"x-api-key": secret, "anthropic-version": ANTHROPIC_VERSION}
        case Provider.GOOGLE:
            return f"{base}/models?pageSize=1", {"x-goog-api-key": secret}
        case Provider.OPENAI | Provider.OPENAI_COMPATIBLE:
            return f"{base}/models", {"authorization": f"Bearer {secret}"}
