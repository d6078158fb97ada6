"""Requests to each kind of upstream: address, headers, credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from opencode_cloud.catalogue.models import UpstreamKind
from opencode_cloud.gateway.formats import wire_format
from opencode_cloud.gateway.models import UpstreamTarget

ANTHROPIC_VERSION = "2023-06-01"
USER_AGENT = "opencode-cloud"


def address(target: UpstreamTarget, *, stream: bool) -> str:
    """Return the URL to post to; for Bedrock see ``store/bedrock.py``."""
    path = target.path or wire_format(target.format).upstream_path(target.model, stream)
    return f"{target.base_url}{path}"


def headers(target: UpstreamTarget, passed_on: Mapping[str, str], *, stream: bool) -> dict[str, str]:
    """Return the headers of a request; ``passed_on`` are the client's headers for the upstream."""
    result = {
        **passed_on,
        "content-type": "application/json",
        "accept": "text/event-stream" if stream else "application/json",
        "accept-encoding": "identity",  # compression would hold back small events of a stream
        "user-agent": USER_AGENT,
    }
    match target.upstream.kind:
        case UpstreamKind.ANTHROPIC:
            result["x-api-key"] = target.secret
            result.setdefault("anthropic-version", ANTHROPIC_VERSION)
        case UpstreamKind.GOOGLE:
            result["x-goog-api-key"] = target.secret
        case UpstreamKind.OPENAI | UpstreamKind.OPENAI_COMPATIBLE:
            if target.secret:
                result["authorization"] = f"Bearer {target.secret}"
        case UpstreamKind.BEDROCK:
            pass  # signed, see `store/bedrock.py`
        case _:
            assert_never(target.upstream.kind)
    return result
