"""The HTTP application of functions that people wait for: a table of routes over events of an HTTP API (format 2.0).

It answers as Powertools' resolver does (``kit/http_app.py``), whose import takes ten times the processor time of bare
Python's start; see docs/decisions/038. Functions with OpenAPI use that resolver.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import ServiceError, route_not_found, unexpected
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.log import logger

Route = TypeVar("Route", bound=Callable[..., HttpReply])
ErrorPage = Callable[[http_events.Event, ServiceError, str], HttpReply | None]
"""Answers a request whose error has this correlation id, or leaves it to JSON by None."""
_MARKS = frozenset("_-._~()'!*:@,;=+&$%<> []{}|^")
"""Characters of a value in a path beside letters and digits, as API Gateway passes them on."""


class HttpRoutes:
    """Calls the route that a request's method and path select; for any number of threads.

    A path's template names values as ``/things/<thing_id>``; each is a whole segment. Routes without values precede
    others, then the first one added. Every error is answered with JSON and a stable code, unless ``error_page`` answers
    it.
    """

    def __init__(self) -> None:
        self._fixed: dict[tuple[str, str], Callable[..., HttpReply]] = {}
        self._templates: dict[tuple[str, int], list[tuple[list[str], Callable[..., HttpReply]]]] = {}
        self._present: ContextVar[dict[str, Any] | None] = ContextVar("present_event", default=None)
        self._error_page: ErrorPage | None = None

    def errors_by(self, error_page: ErrorPage) -> None:
        """Have ``error_page`` answer errors, where it does."""
        self._error_page = error_page

    def get(self, template: str) -> Callable[[Route], Route]:
        """Return a decorator that adds a route for GET, and for HEAD."""
        return self._adding("GET", template)

    def post(self, template: str) -> Callable[[Route], Route]:
        """Return a decorator that adds a route for POST."""
        return self._adding("POST", template)

    def delete(self, template: str) -> Callable[[Route], Route]:
        """Return a decorator that adds a route for DELETE."""
        return self._adding("DELETE", template)

    def table(self) -> list[tuple[str, str]]:
        """Return method and template of each route."""
        named = [
            (method, "/".join(segments)) for (method, _), found in self._templates.items() for segments, _ in found
        ]
        return [*self._fixed, *named]

    def event(self) -> dict[str, Any]:
        """Return the event of the request that this thread serves. Raises LookupError outside a request."""
        event = self._present.get()
        if event is None:
            raise LookupError("this thread serves no request")
        return event

    def answer(self, event: dict[str, Any], _context: object) -> dict[str, Any]:
        """Answer one HTTP request. Answer HEAD like GET, without the body."""
        method: str = event["requestContext"]["http"]["method"]
        token = self._present.set(event)
        try:
            if method != "HEAD":
                return self._reply(method, event).as_event()
            return {**self._reply("GET", event).as_event(), "body": "", "isBase64Encoded": False}
        finally:
            self._present.reset(token)

    def _adding(self, method: str, template: str) -> Callable[[Route], Route]:
        def add(route: Route) -> Route:
            segments = template.split("/")
            if "<" not in template:
                self._fixed.setdefault((method, template), route)
            elif any("<" in segment and not _is_name(segment) for segment in segments):
                raise ValueError(f"a value in the path {template} is not a whole segment")
            else:
                self._templates.setdefault((method, len(segments)), []).append((segments, route))
            return route

        return add

    def _reply(self, method: str, event: dict[str, Any]) -> HttpReply:
        try:
            return self._routed(method, event)
        except ServiceError as error:
            return self._failed(event, error)
        except Exception:  # noqa: BLE001 - every error has an answer
            logger.exception("request failed")
            return self._failed(event, unexpected())

    def _failed(self, event: dict[str, Any], error: ServiceError) -> HttpReply:
        correlation_id = logger.get_correlation_id()
        page = self._error_page(event, error, correlation_id) if self._error_page else None
        return page or http_events.error_reply(event, error, correlation_id)

    def _routed(self, method: str, event: dict[str, Any]) -> HttpReply:
        path = _path(event)
        if fixed := self._fixed.get((method, path)):
            return fixed()
        segments = path.split("/")
        for template, route in self._templates.get((method, len(segments)), ()):
            values = _values(template, segments)
            if values is not None:
                return route(**values)
        if method == "OPTIONS":
            return http_events.preflight()
        raise route_not_found()


def _path(event: dict[str, Any]) -> str:
    """Return the path without the name of a stage, which precedes it unless the stage is the API's default."""
    stage: str = event["requestContext"].get("stage", "$default")
    path: str = event["rawPath"]
    return path if stage == "$default" else path[len(stage) + 1 :]


def _is_name(segment: str) -> bool:
    return segment.startswith("<") and segment.endswith(">") and segment[1:-1].isidentifier()


def _values(template: list[str], segments: list[str]) -> dict[str, str] | None:
    """Return the values of a path by name; None if it does not fit."""
    values: dict[str, str] = {}
    for expected, segment in zip(template, segments, strict=True):
        if not expected.startswith("<"):
            if expected != segment:
                return None
        elif segment and all(character.isalnum() or character in _MARKS for character in segment):
            values[expected[1:-1]] = segment
        else:
            return None
    return values
