"""The upstreams that may serve a call, and the order in which they are asked. The order is computed, not stored.

Within one priority the order is a weighted rendezvous hash (Thaler and Ravishankar, 1996) of the session and the
upstream. The calls of a session stay with one upstream, and sessions spread by the weights. If an upstream fails, only
its own sessions move, and they return when it has recovered.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from opencode_cloud.catalogue.models import (
    EMBEDDING_FORMATS,
    FORMATS_BY_KIND,
    Catalogue,
    Format,
    Model,
    Route,
    Upstream,
    UpstreamKind,
)
from opencode_cloud.contracts.access import EnforcedRules, KnownCredential, KnownCredentials
from opencode_cloud.gateway.formats import EmbeddingMethod, ParsedRequest, embedding_path, serving_name, wire_format
from opencode_cloud.gateway.models import UpstreamTarget
from opencode_cloud.gateway.service.health import Health

DEFAULT_URLS: Mapping[UpstreamKind, str] = {
    UpstreamKind.OPENAI: "https://api.openai.com/v1",
    UpstreamKind.ANTHROPIC: "https://api.anthropic.com/v1",
    UpstreamKind.GOOGLE: "https://generativelanguage.googleapis.com/v1beta",
}
KEYLESS = frozenset({UpstreamKind.BEDROCK, UpstreamKind.OPENAI_COMPATIBLE})
"""Kinds that need no key: the gateway's role signs (Bedrock), or a private server accepts calls without one."""


def own_credential(upstream_id: str, upstream: Upstream, credentials: KnownCredentials) -> KnownCredential | None:
    """Return the workspace's own credential for an upstream: the one with its name, else the first of its kind.

    For servers that are only OpenAI-compatible the name must match: a key for one of them is worthless at another.
    """
    if not upstream.byok:
        return None
    same_kind = [credential for credential in credentials.credentials if credential.provider == upstream.kind]
    named = next((credential for credential in same_kind if credential.name == upstream_id), None)
    if named or upstream.kind is UpstreamKind.OPENAI_COMPATIBLE:
        return named
    return next(iter(same_kind), None)


def targets(
    catalogue: Catalogue,
    model: Model,
    client_format: Format,
    providers: EnforcedRules,
    own: Mapping[str, tuple[KnownCredential, str]],
    platform: Mapping[str, str],
    embedding: EmbeddingMethod | None = None,
    asked: ParsedRequest | None = None,
) -> list[tuple[Route, UpstreamTarget]]:
    """Return the upstreams of a model: with the workspace's own credentials if it has any, else with the platform's.

    Never both: if the workspace's own key fails, the call must not continue at the platform's cost and under its terms.

    Args:
        catalogue: The current catalogue.
        model: A model of it.
        client_format: The format of the client. An upstream that speaks it gets the request unchanged.
        providers: The policy's rules of providers. Denied upstreams are skipped.
        own: The workspace's own credentials and their plain keys, by upstream.
        platform: The platform's keys by upstream.
        embedding: The address of embeddings that the client called; None: a model is to generate.
        asked: The request. An upstream that refuses it in the client's format gets it in another that it speaks.
    """
    candidates: list[tuple[Route, UpstreamTarget]] = []
    for route in model.routes:
        upstream = catalogue.upstreams.get(route.upstream)
        if upstream is None or route.weight <= 0 or not EnforcedRules(deny=providers.deny).permit(route.upstream):
            continue
        credential = own.get(route.upstream)
        secret = credential[1] if credential else platform.get(route.upstream, "")
        if not secret and upstream.kind not in KEYLESS:
            continue
        spoken = _spoken(route, upstream, embeds=embedding is not None)
        if not spoken:
            continue
        base_url = (credential[0].base_url if credential else None) or upstream.base_url
        name = serving_name(route.model, model.id)
        refused = asked is not None and wire_format(client_format).is_refused(asked, name)
        fitting = spoken if route.formats or not refused else _without(client_format, spoken)
        format_ = client_format if client_format in fitting else fitting[0]
        target = UpstreamTarget(
            id=route.upstream,
            upstream=upstream,
            model=route.model,
            format=format_,
            path=embedding_path(format_, route.model, embedding) if embedding else "",
            base_url=(base_url or DEFAULT_URLS.get(upstream.kind, "")).rstrip("/"),
            secret=secret,
            credential_id=credential[0].id if credential else None,
        )
        candidates.append((route, target))
    own_only = [candidate for candidate in candidates if candidate[1].byok]
    return own_only or candidates


def lacks_key(
    catalogue: Catalogue,
    model: Model,
    own: Mapping[str, tuple[KnownCredential, str]],
    platform: Mapping[str, str],
) -> bool:
    """Tell whether one of a model's upstreams is left out because it has no key. The key may be new."""
    if own:
        return False
    upstreams = (catalogue.upstreams.get(route.upstream) for route in model.routes if not platform.get(route.upstream))
    return any(upstream is not None and upstream.kind not in KEYLESS for upstream in upstreams)


def _spoken(route: Route, upstream: Upstream, *, embeds: bool) -> tuple[Format, ...]:
    """Return the formats of an upstream, the preferred one first; none if it cannot do the work."""
    if embeds:
        return (EMBEDDING_FORMATS[upstream.kind],) if upstream.kind in EMBEDDING_FORMATS else ()
    return route.formats or FORMATS_BY_KIND[upstream.kind]


def _without(format_: Format, spoken: tuple[Format, ...]) -> tuple[Format, ...]:
    return tuple(each for each in spoken if each is not format_) or spoken


def order(candidates: Sequence[tuple[Route, UpstreamTarget]], stick_to: str, health: Health) -> list[UpstreamTarget]:
    """Return targets in the order of attempts: by health, priority, and a weighted hash of ``stick_to``."""
    ranked = sorted(
        candidates,
        key=lambda candidate: (
            not health.is_well(candidate[1].circuit),
            candidate[0].priority,
            _distance(stick_to, candidate[1], candidate[0].weight),
        ),
    )
    return [target for _, target in ranked]


def _distance(stick_to: str, target: UpstreamTarget, weight: int) -> float:
    digest = hashlib.blake2b(f"{stick_to}\0{target.id}\0{target.model}".encode(), digest_size=8).digest()
    # The smallest of these exponential variables wins in proportion to its weight. `uniform` is never 0 or 1, so its
    # logarithm is finite and not 0.
    uniform = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return -math.log(uniform) / weight
