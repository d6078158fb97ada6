"""The headers by which CloudFront names the viewer and the host to an origin."""

from collections.abc import Iterable, Iterator, Mapping

from aiohttp.web import BaseRequest

from infra.routes import ORIGIN_HEADER, VIEWER_HEADER
from local.emulator.arrivals import ARRIVAL_HEADER
from local.front_door.settings import Settings

FORWARDED = (
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    ARRIVAL_HEADER,
    ORIGIN_HEADER,
    VIEWER_HEADER,
)
"""Headers that only the front door may set."""

HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to one connection, and `Host`, which each hop sets itself (RFC 9110, 7.6.1)."""


def forwarded(host: str, peer: str, headers: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the forwarding headers for a request to `host` from `peer` that came with the headers `headers`.

    Forwarding headers from a viewer are dropped, unless only a trusted proxy can reach us. A proxy appends the address
    that it saw to what the viewer sent, so only the last one is taken.
    """
    said: Mapping[str, str] = headers if settings.trust_proxy else {}
    viewer = said.get("x-forwarded-for", "").rpartition(",")[2].strip() or peer
    return {
        "x-forwarded-for": viewer,
        "x-forwarded-host": said.get("x-forwarded-host") or host,
        "x-forwarded-proto": said.get("x-forwarded-proto") or "http",
        VIEWER_HEADER: viewer,
        ORIGIN_HEADER: settings.origin_secret,
    }


def passed_on(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the headers of a viewer's request that are forwarded to the origin."""
    for name, value in headers:
        lower = name.lower()
        if lower not in HOP_BY_HOP and lower not in FORWARDED:
            yield name, value


def target_of(request: BaseRequest) -> str:
    """Return path and query of a request as the client wrote them.

    A request line may name the whole address (absolute form, RFC 9112, 3.2.2). An origin is asked for its path only.
    """
    target = request.raw_path
    if target.startswith("/"):
        return target
    _, _, rest = target.partition("://")
    path = rest[len(rest.partition("/")[0].partition("?")[0]) :]
    return path if path.startswith("/") else f"/{path}"
