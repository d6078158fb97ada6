"""Routes of the exchange, in the protocol of the client's GitHub agent (docs/github.md)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import msgspec

from opencode_cloud.github.service import Exchange
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import ServiceError, TooManyRequests
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.rate_limits import RateLimit, RateLimiter

LIMIT = RateLimit("github", 120)
"""Rate limit by IP address. `opencode github install` asks once a second, and a request may call GitHub."""


class _Repository(msgspec.Struct):
    owner: str
    repo: str


class GitHubRoutes:
    """The three routes of the exchange. Errors are sentences under ``error``, which the agent shows unchanged."""

    def __init__(self, exchange: Exchange, limiter: RateLimiter) -> None:
        self._exchange = exchange
        self._limiter = limiter

    def mount(self, app: HttpRoutes) -> None:
        """Add every route to ``app``."""
        self._event = app.event
        app.post("/exchange_github_app_token")(self._guarded(self.exchange))
        app.post("/exchange_github_app_token_with_pat")(self._guarded(self.exchange_personal))
        app.get("/get_github_app_installation")(self._guarded(self.installation))

    def exchange(self) -> dict[str, Any]:
        """Answer ``POST /exchange_github_app_token``, with a workflow's identity token as bearer: ``{token}``."""
        return {"token": self._exchange.for_workflow(http_events.bearer(self._event()))}

    def exchange_personal(self) -> dict[str, Any]:
        """Answer ``POST /exchange_github_app_token_with_pat {owner, repo}``, personal token as bearer: ``{token}``."""
        body = http_events.decode_body(self._event(), _Repository)
        return {"token": self._exchange.for_person(http_events.bearer(self._event()), body.owner, body.repo)}

    def installation(self) -> dict[str, Any]:
        """Answer ``GET /get_github_app_installation?owner=&repo=``: ``{installation}``, or ``{}`` without one."""
        event = self._event()
        installation = self._exchange.installation(http_events.query(event, "owner"), http_events.query(event, "repo"))
        return {"installation": installation} if installation else {}

    def _guarded(self, route: Callable[[], dict[str, Any]]) -> Callable[[], HttpReply]:
        @wraps(route)
        def answer() -> HttpReply:
            event = self._event()
            try:
                self._limiter.take(LIMIT, http_events.source_network(event))
                return http_events.reply(event, msgspec.json.encode(route()))
            except ServiceError as error:
                headers = dict(http_events.PRIVATE)
                if isinstance(error, TooManyRequests):
                    headers |= {**error.headers, "Retry-After": str(error.retry_after)}
                body = {
                    "error": error.message,
                    "code": error.code,
                    "correlation_id": logger.get_correlation_id(),
                }
                return http_events.reply(event, msgspec.json.encode(body), status=error.status, headers=headers)

        return answer
