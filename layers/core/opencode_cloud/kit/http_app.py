"""HTTP applications with OpenAPI or pages: Powertools' resolver for several threads, and HEAD like GET."""

# Powertools leaves parts of its types unknown, and declares the attributes of a request as variables.
# pyright: reportUnknownMemberType=false, reportIncompatibleVariableOverride=false

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from threading import Lock
from typing import Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import ServiceError, route_not_found, unexpected
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.log import logger


class _Request(msgspec.Struct):
    """The state of a resolver during one request."""

    event: Any = None
    lambda_context: Any = None
    context: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    frames: list[str] = msgspec.field(default_factory=list[str])


class HttpApp(APIGatewayHttpResolver):
    """A resolver that serves requests on several threads at one time.

    Powertools keeps the present request in attributes of a class, so a thread would read the request of another one.
    Its own resolver for ASGI servers keeps it in a context variable, as this one does.
    """

    def __init__(self, **options: Any) -> None:
        """Take the arguments of Powertools' resolver."""
        self._outside = _Request()
        self._is_built = False
        self._building = Lock()
        self._present: ContextVar[_Request | None] = ContextVar("present_request", default=None)
        super().__init__(**options)

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer an event."""
        if not self._is_built:
            self._build()
        token = self._present.set(_Request(self._to_proxy_event(event), context))
        try:
            return super().resolve(event, context)
        finally:
            self._present.reset(token)

    def _build(self) -> None:
        """Wrap the routes in their middlewares, once. Powertools does so at the first request, on any thread."""
        with self._building:
            routes: list[Any] = [] if self._is_built else [*self._static_routes, *self._dynamic_routes]
            for route in routes:
                if not route._middleware_stack_built:  # noqa: SLF001 - Powertools does the same at the first request
                    route._build_middleware_stack(self._router_middlewares, self)  # noqa: SLF001
            self._is_built = True

    @property
    def _request(self) -> _Request:
        return self._present.get() or self._outside

    @property
    def current_event(self) -> Any:
        """The event of the request that this thread serves."""
        return self._request.event

    @current_event.setter
    def current_event(self, value: Any) -> None:
        self._request.event = value

    @property
    def lambda_context(self) -> Any:
        """The context of that request."""
        return self._request.lambda_context

    @lambda_context.setter
    def lambda_context(self, value: Any) -> None:
        self._request.lambda_context = value

    @property
    def context(self) -> dict[str, Any]:
        """The values that middlewares of that request pass on."""
        return self._request.context

    @context.setter
    def context(self, value: dict[str, Any]) -> None:
        self._request.context = value

    @property
    def processed_stack_frames(self) -> list[str]:
        """The middlewares of that request so far."""
        return self._request.frames

    @processed_stack_frames.setter
    def processed_stack_frames(self, value: list[str]) -> None:
        self._request.frames = value


def response_of(reply: HttpReply) -> Response[str]:
    """Return an answer as a response of Powertools."""
    content_type = reply.headers.get("Content-Type")
    response: Response[str] = Response(reply.status, content_type, reply.body, reply.headers)
    response.base64_encoded = reply.base64_encoded
    return response


def answer_errors(app: APIGatewayHttpResolver, reply: Callable[[ServiceError], Response[str]]) -> None:
    """Have ``app`` answer every error by ``reply``. Unexpected errors are logged and answered as ``internal_error``."""

    @app.exception_handler(ServiceError)
    def refuse(error: ServiceError) -> Response[str]:  # pyright: ignore[reportUnusedFunction]
        return reply(error)

    @app.exception_handler(Exception)
    def fail(_error: Exception) -> Response[str]:  # pyright: ignore[reportUnusedFunction]
        logger.exception("request failed")
        return reply(unexpected())


def answer_unknown_routes(app: APIGatewayHttpResolver, reply: Callable[[ServiceError], Response[str]]) -> None:
    """Have ``app`` answer ``route_not_found`` by ``reply`` where no route matches, and preflights everywhere."""

    @app.not_found  # pyright: ignore[reportUnknownMemberType]
    def missing(_error: Exception) -> Response[str]:  # pyright: ignore[reportUnusedFunction]
        if app.current_event.http_method == "OPTIONS":
            return response_of(http_events.preflight())
        return reply(route_not_found())


def answer(app: APIGatewayHttpResolver, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one HTTP request. Answer HEAD like GET, without the body."""
    request = event["requestContext"]["http"]
    if request["method"] != "HEAD":
        answered = app.resolve(event, context)
        # Powertools writes None as `null`, and a 204 with a body breaks the connection for later requests (RFC 9110).
        return {**answered, "body": ""} if answered["statusCode"] == http_events.HTTPStatus.NO_CONTENT else answered
    get_event = {**event, "requestContext": {**event["requestContext"], "http": {**request, "method": "GET"}}}
    return {**app.resolve(get_event, context), "body": "", "isBase64Encoded": False}
