"""Errors that CloudFront answers again by itself, to every viewer of a path, without asking the origin.

Reference: "Control how long CloudFront caches errors" in CloudFront's guide. No cache policy changes it, and headers of
the origin prevent it only for the statuses in `HEEDED`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from aiohttp import web

from infra.routes import Route
from local.front_door.upgrade import is_upgrade

CACHED = frozenset({400, 403, 404, 405, 410, 414, 500, 501, 502, 503, 504})
"""Statuses of errors that CloudFront may keep."""

HEEDED = frozenset({404, 410, 414, 501})
"""Statuses of which CloudFront keeps no answer that says `no-store`, `no-cache` or `private`."""

DEFAULT_SECONDS = 10
"""For a status of which the distribution says nothing."""

MOST_ERRORS = 1000
"""Errors kept at one time; more are not kept, so that paths which viewers make up do not fill the memory."""


@dataclass(frozen=True, slots=True)
class KeptError:
    """An error with the time of its end, in seconds of the monotonic clock."""

    until: float
    status: int
    headers: Mapping[str, str]
    body: bytes

    def answer(self) -> web.Response:
        """Return the answer that CloudFront gives in place of the origin."""
        headers = {**self.headers, "X-Cache": "Error from cloudfront"}
        return web.Response(status=self.status, headers=headers, body=self.body)


class ErrorCache:
    """The errors of all paths."""

    def __init__(self, seconds: Mapping[int, int]) -> None:
        """Keep errors as long as `seconds` says by status, as in the distribution."""
        self._seconds = seconds
        self._errors: dict[str, KeptError] = {}

    def find(self, request: web.BaseRequest, route: Route) -> web.Response | None:
        """Return the kept error for a request to `route`, if there is one."""
        kept = self._errors.get(_key(request, route)) if request.method in ("GET", "HEAD") else None
        if kept is None or kept.until <= monotonic():
            return None
        return kept.answer()

    def keep(self, request: web.BaseRequest, route: Route, answer: web.StreamResponse) -> web.StreamResponse:
        """Keep the answer to a request to `route` if CloudFront would, and return it."""
        seconds = self._seconds.get(answer.status, DEFAULT_SECONDS)
        if seconds and request.method in ("GET", "HEAD") and isinstance(answer, web.Response) and _may_keep(answer):
            self._forget()
            if len(self._errors) < MOST_ERRORS:
                body = answer.body if isinstance(answer.body, bytes) else b""
                error = KeptError(monotonic() + seconds, answer.status, dict(answer.headers), body)
                self._errors[_key(request, route)] = error
        return answer

    def _forget(self) -> None:
        now = monotonic()
        self._errors = {key: kept for key, kept in self._errors.items() if kept.until > now}


def _may_keep(answer: web.Response) -> bool:
    said = answer.headers.get("Cache-Control", "")
    forbidden = answer.status in HEEDED and any(word in said for word in ("no-store", "no-cache", "private"))
    return answer.status in CACHED and not forbidden


def _key(request: web.BaseRequest, route: Route) -> str:
    """Return the path that the origin is asked for, without its query: of all WebSockets the same."""
    return route.target if route.protocol and is_upgrade(request) else request.path
