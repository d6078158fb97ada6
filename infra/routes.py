"""Routing by path: the one table behind the CDN (infra/stacks/edge.py) and the local front door (local/).

It does not import the CDK, so that any module can import it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode

PROTOCOL_PARAMETER = "protocol"
"""The query parameter that tells `functions/live` the protocol of a WebSocket, because API Gateway drops the path."""

ORIGIN_HEADER = "x-opencode-origin"
"""The header in which the CDN sends its secret to the APIs and the gateway, which believe nothing without it."""

VIEWER_HEADER = "x-opencode-viewer"
"""The header with the viewer's address. Viewers can forge `x-forwarded-for`."""


ERROR_SECONDS: Mapping[int, int] = dict.fromkeys((400, 403, 404, 405, 414, 500, 501, 502, 503, 504), 0)
"""Seconds that the CDN keeps an error of an origin, by its status: none.

For a status that is not here CloudFront keeps the answer to a GET for ten seconds, for all viewers of a path, whatever
the cache policy says ("Control how long CloudFront caches errors" in its guide). These are all that can be set.
"""


class Target(StrEnum):
    """The origin that serves a route."""

    HTTP = "http"
    WEBSOCKET = "websocket"
    SITE = "site"
    """The bucket of static documents."""
    STREAM = "stream"
    """The gateway, whose answers stream for minutes."""
    HUB = "hub"
    """All of sharing in containers, sockets included, on stages that have them."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row: a CloudFront path pattern (exact, or a prefix ending in `*`) and its origin."""

    pattern: str
    target: Target
    protocol: str = ""
    cacheable: bool = False

    def covers(self, path: str) -> bool:
        """Tell whether the route serves `path` (without query, as the viewer sent it)."""
        if self.pattern.endswith("*"):
            return path.startswith(self.pattern[:-1])
        return path == self.pattern

    def rewrite_query(self, query: str) -> str:
        """Return the query string for the origin: the viewer's, with the route's protocol instead of theirs."""
        if not self.protocol:
            return query
        pairs = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k != PROTOCOL_PARAMETER]
        return urlencode([*pairs, (PROTOCOL_PARAMETER, self.protocol)])


ROUTES = (
    Route("/live", Target.WEBSOCKET, protocol="live"),
    Route("/share_poll", Target.WEBSOCKET, protocol="poll"),
    Route("/.well-known/opencode", Target.SITE),
    Route("/zen", Target.STREAM),
    Route("/zen/*", Target.STREAM),
    Route("/inference/*", Target.STREAM),
    Route("/assets/*", Target.HTTP, cacheable=True),
    Route("/*", Target.HTTP),
)
"""The first match wins. The last row matches everything."""

HUB_ROUTES = (
    *(
        Route(pattern, Target.HUB)
        for pattern in ("/live", "/share_poll", "/share*", "/s/*", "/api/share*", "/api/admin/*")
    ),
    Route("/internal/posts", Target.HUB),
    *(route for route in ROUTES if route.target is not Target.WEBSOCKET),
)
"""The routes of a stage whose sharing runs in containers. Functions serve the API of owners under `/api/v1` also there.

Functions post to hubs at `/internal/posts`; each post is sealed.
"""


API_ROUTES: Mapping[str, tuple[str, ...]] = {
    "identity": (
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/api.json",
        "/api/config",
        "/api/orgs",
        "/api/user",
        "/api/v2/config",
        "/auth/device/code",
        "/auth/device/token",
        "/auth/revoke",
        "/auth/token",
        "/catalogue/{proxy+}",
        "/console/{workspace_id}/playground",
    ),
    "console": (
        "/",
        "/account",
        "/account/{proxy+}",
        "/api/docs",
        "/api/docs/{proxy+}",
        "/api/openapi.json",
        "/api/v1/{proxy+}",
        "/auth/authorize",
        "/auth/callback/{proxy+}",
        "/console",
        "/console/{proxy+}",
        "/device",
        "/device/{proxy+}",
        "/invitations",
        "/invitations/{proxy+}",
        "/login",
        "/login/{proxy+}",
        "/logout",
        "/operator",
        "/operator/{proxy+}",
    ),
    "github": (
        "/exchange_github_app_token",
        "/exchange_github_app_token_with_pat",
        "/get_github_app_installation",
    ),
    "payments": (
        "/api/v1/workspaces/{workspace_id}/auto-reload",
        "/api/v1/workspaces/{workspace_id}/auto-reload/{proxy+}",
        "/api/v1/workspaces/{workspace_id}/invoices",
        "/api/v1/workspaces/{workspace_id}/invoices/{proxy+}",
        "/api/v1/workspaces/{workspace_id}/payment-portal",
        "/api/v1/workspaces/{workspace_id}/plan",
        "/api/v1/workspaces/{workspace_id}/plan/{proxy+}",
        "/api/v1/workspaces/{workspace_id}/refunds",
        "/api/v1/workspaces/{workspace_id}/refunds/{proxy+}",
        "/api/v1/workspaces/{workspace_id}/top-ups",
        "/api/v1/workspaces/{workspace_id}/top-ups/{proxy+}",
        "/console/{workspace_id}/payments",
        "/console/{workspace_id}/payments/{proxy+}",
        "/stripe/webhook",
    ),
    "share": (
        "/api/v1/workspaces/{workspace_id}/shares",
        "/api/v1/workspaces/{workspace_id}/shares/{proxy+}",
        "/console/{workspace_id}/shares",
        "/console/{workspace_id}/shares/{proxy+}",
    ),
}
"""Paths of the HTTP API by the function that serves them, as API Gateway writes them; `share` serves all others too.

An exact path goes before one that ends in `{proxy+}`, and of two of these the longer one.
"""


def match(path: str, routes: Sequence[Route] = ROUTES) -> Route:
    """Return the first of `routes` that covers `path`."""
    return next(route for route in routes if route.covers(path))
