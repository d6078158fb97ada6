"""Frame of every function: correlation ids, error answers, metrics, logs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import ServiceError, route_not_found, unexpected
from opencode_cloud.kit.log import logger, metrics

Handler = Callable[[dict[str, Any], Any], Any]
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def correlation_id(event: dict[str, Any], context: Any) -> str:
    """Return the id of a request in all logs: the client's trace id, or else the gateway's request id."""
    if trace := trace_of(http_events.header(event, "traceparent")):
        return trace
    return event.get("requestContext", {}).get("requestId") or context.aws_request_id


def trace_of(traceparent: str) -> str:
    """Return the trace id in a header ``traceparent`` (W3C Trace Context); empty for an invalid header."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] if match else ""


def frame(function: Handler) -> Handler:
    """Return a Lambda handler of ``function`` that adds the correlation id to logs and writes metrics at the end."""

    @wraps(function)
    def invoke(event: dict[str, Any], context: Any) -> Any:
        logger.set_correlation_id(correlation_id(event, context))
        try:
            return function(event, context)
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()

    return invoke


def correlated(function: Handler) -> Handler:
    """Return a handler that only adds the correlation id to logs, for a process that writes its metrics itself."""

    @wraps(function)
    def invoke(event: dict[str, Any], context: Any) -> Any:
        logger.set_correlation_id(correlation_id(event, context))
        return function(event, context)

    return invoke


def http_app() -> APIGatewayHttpResolver:
    """Return a resolver that answers every error with JSON and a stable code."""
    app = APIGatewayHttpResolver()

    def reply(error: ServiceError) -> Response[str]:
        return http_events.error_reply(app.current_event.raw_event, error, logger.get_correlation_id() or "")

    answer_errors(app, reply)
    answer_unknown_routes(app, reply)
    return app


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
            return preflight()
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


def preflight() -> Response[str]:
    """Answer a browser's CORS preflight: all origins may call, without credentials."""
    headers = {
        **http_events.CORS,
        "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": "content-type, authorization, x-org-id, traceparent, b3",
        "Access-Control-Max-Age": "86400",
    }
    return Response(204, "text/plain", "", headers)  # pyright: ignore[reportArgumentType]
