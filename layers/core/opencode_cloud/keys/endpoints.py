"""Addresses of providers: which of them we call, and how a key is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from opencode_cloud.keys.models import Provider, invalid_base_url
from opencode_cloud.kit.outward import is_private as is_private
from opencode_cloud.kit.outward import is_private_host

DEFAULTS: Mapping[Provider, str] = {
    Provider.OPENAI: "https://api.openai.com/v1",
    Provider.ANTHROPIC: "https://api.anthropic.com/v1",
    Provider.GOOGLE: "https://generativelanguage.googleapis.com/v1beta",
}
_WRITTEN = re.compile(r"[\x21-\x7e]+")
ANTHROPIC_VERSION = "2023-06-01"


def clean_base_url(provider: Provider, base_url: str | None, *, private: bool) -> str | None:
    """Return the address under which a provider's API lies, None for the provider's own; raises ``invalid_base_url``.

    Unless the deployment allows ``private`` addresses, it must be https, and no address of a private network: those
    who can write it must not reach through us what they cannot reach themselves. Names are looked at when they are
    called (kit/outward.py), since what they resolve to may change.
    """
    if base_url is None:
        if provider is Provider.OPENAI_COMPATIBLE:
            raise invalid_base_url("a provider of this kind needs one")
        return None
    try:
        parts = urlsplit(base_url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise invalid_base_url("this is no address such as `https://models.example.com/v1`") from error
    if not _WRITTEN.fullmatch(base_url.strip()):
        raise invalid_base_url("write it in ASCII, without blanks; names in other letters as `xn--...`")
    _check_form(parts, private=private)
    if not private and is_private_host(host or ""):
        raise invalid_base_url("this deployment does not call private addresses")
    return parts.geturl().rstrip("/")


def models_request(provider: Provider, base_url: str | None, secret: str) -> tuple[str, dict[str, str]]:
    """Return address and headers of the request that lists a provider's models: the least that needs a valid key."""
    base = base_url or DEFAULTS[provider]
    match provider:
        case Provider.ANTHROPIC:
            return f"{base}/models?limit=1", {"x-api-key": secret, "anthropic-version": ANTHROPIC_VERSION}
        case Provider.GOOGLE:
            return f"{base}/models?pageSize=1", {"x-goog-api-key": secret}
        case Provider.OPENAI | Provider.OPENAI_COMPATIBLE:
            return f"{base}/models", {"authorization": f"Bearer {secret}"}


def _check_form(parts: SplitResult, *, private: bool) -> None:
    if parts.scheme not in ({"https", "http"} if private else {"https"}):
        raise invalid_base_url("it must begin with `https://`")
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise invalid_base_url("it must be host and path only, without user, query or fragment")
