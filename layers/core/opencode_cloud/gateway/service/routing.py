"""Which upstreams may serve a call, and in which order they are asked. Nothing is stored: the order is computed.

Within one priority the order is a weighted rendezvous hash (Thaler and Ravishankar, 1996) of the session and the
upstream. So the calls of a session stay with one upstream, sessions spread by the weights, and when an
upstream fails only its own sessions move, and come back when it is well again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from opencode_cloud.catalogue.models import FORMATS_BY_KIND, Catalogue, Format, Model, Route, Upstream, UpstreamKind
from opencode_cloud.contracts.access import KnownCredential, KnownCredentials, Rules
from opencode_cloud.gateway.models import UpstreamTarget
from opencode_cloud.gateway.service.health import Health

DEFAULT_URLS: Mapping[UpstreamKind, str] = {
    UpstreamKind.OPENAI: "https://api.openai.com/v1",
    UpstreamKind.ANTHROPIC: "https://api.anthropic.com/v1",
    UpstreamKind.GOOGLE: "https://generativelanguage.googleapis.com/v1beta",
}
KEYLESS = frozenset({UpstreamKind.BEDROCK, UpstreamKind.OPENAI_COMPATIBLE})
"""Kinds that can be asked without a key: by the gateway's role, or a server of one's own."""


def own_credential(upstream_id: str, upstream: Upstream, credentials: KnownCredentials) -> KnownCredential | None:
    """Return the workspace's own credential for an upstream: the one of its name, else the first of its kind.

    For servers that merely speak Chat Completions the name must agree, since their keys have nothing in common.
    """
    if not upstream.byok:
        return None
    same_kind = [each for each in credentials.credentials if each.provider == upstream.kind]
    named = next((each for each in same_kind if each.name == upstream_id), None)
    if named or upstream.kind is UpstreamKind.OPENAI_COMPATIBLE:
        return named
    return next(iter(same_kind), None)


def targets(
    catalogue: Catalogue,
    model: Model,
    client_format: Format,
    providers: Rules,
    own: Mapping[str, tuple[KnownCredential, str]],
    platform: Mapping[str, str],
) -> list[tuple[Route, UpstreamTarget]]:
    """Return all ways to a model: through the workspace's own credentials where it has any, else the platform's.

    Never both: a call for which a workspace brings its own key is not to go on at the platform's cost, and under the
    platform's terms, when that key fails.

    Args:
        catalogue: What there is.
        model: Of the catalogue.
        client_format: The format of the client. An upstream that speaks it gets the request unchanged.
        providers: The policy's rules of providers. Denied upstreams are skipped.
        own: The workspace's own credentials, opened, by upstream.
        platform: The platform's keys by upstream.
    """
    found: list[tuple[Route, UpstreamTarget]] = []
    for route in model.routes:
        upstream = catalogue.upstreams.get(route.upstream)
        if upstream is None or route.weight <= 0 or not Rules(deny=providers.deny).permit(route.upstream):
            continue
        credential = own.get(route.upstream)
        secret = credential[1] if credential else platform.get(route.upstream, "")
        if not secret and upstream.kind not in KEYLESS:
            continue
        base_url = (credential[0].base_url if credential else None) or upstream.base_url
        spoken = route.formats or FORMATS_BY_KIND[upstream.kind]
        target = UpstreamTarget(
            id=route.upstream,
            upstream=upstream,
            model=route.model,
            format=client_format if client_format in spoken else spoken[0],
            base_url=(base_url or DEFAULT_URLS.get(upstream.kind, "")).rstrip("/"),
            secret=secret,
            byok=credential is not None,
        )
        found.append((route, target))
    brought = [each for each in found if each[1].byok]
    return brought or found


def order(ways: Sequence[tuple[Route, UpstreamTarget]], stick_to: str, health: Health) -> list[UpstreamTarget]:
    """Return targets as they are to be asked: by health, priority, and a hash of ``stick_to`` that respects weights."""
    ranked = sorted(
        ways,
        key=lambda way: (
            not health.is_well(way[1].id, way[1].model),
            way[0].priority,
            _distance(stick_to, way[1], way[0].weight),
        ),
    )
    return [target for _, target in ranked]


def _distance(stick_to: str, target: UpstreamTarget, weight: int) -> float:
    digest = hashlib.blake2b(f"{stick_to}\0{target.id}\0{target.model}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return -math.log(uniform) / weight
