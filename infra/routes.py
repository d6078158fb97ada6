"""Routing by path: the one table behind the CDN (infra/stacks/edge.py) and the local front door (local/).

Knows nothing of the CDK, so that anything may import it.
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode

PROTOCOL_PARAMETER = "protocol"
"""Query parameter by which `functions/live` tells the protocols of a WebSocket apart: API Gateway drops the path."""


class Target(StrEnum):
    """What serves a route."""

    HTTP = "http"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Route:
    """One row: a CloudFront path pattern (exact, or a prefix ending in `*`) and what serves it."""

    pattern: str
    target: Target
    protocol: str = ""
    cacheable: bool = False

    def covers(self, path: str) -> bool:
        """Say whether the route serves `path` (without query, as the viewer sent it)."""
        if self.pattern.endswith("*"):
            return path.startswith(self.pattern[:-1])
        return path == self.pattern

    def rewrite_query(self, query: str) -> str:
        """Return the query string to send on: the viewer's, with the route's protocol in place of any of theirs."""
        if not self.protocol:
            return query
        kept = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k != PROTOCOL_PARAMETER]
        return urlencode([*kept, (PROTOCOL_PARAMETER, self.protocol)])


ROUTES = (
    Route("/live", Target.WEBSOCKET, protocol="live"),
    Route("/share_poll", Target.WEBSOCKET, protocol="poll"),
    Route("/assets/*", Target.HTTP, cacheable=True),
    Route("/*", Target.HTTP),
)
"""First match wins; the last row takes everything."""


def match(path: str) -> Route:
    """Return the first route that covers `path`."""
    return next(route for route in ROUTES if route.covers(path))
