"""The frame of `/api/v1`: validated requests, problem details (RFC 9457), OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from opencode_cloud.http.entrance import Entrance
from opencode_cloud.http.requests import subject_of
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import BadRequest, PreconditionFailed, ServiceError, TooManyRequests
from opencode_cloud.kit.http_app import HttpApp, answer, answer_errors, answer_unknown_routes, response_of
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.rate_limits import RateLimiter

PROBLEM = "application/problem+json"


class ApiApp(HttpApp):
    """A resolver that authenticates a request before it validates it by annotations."""

    def __init__(self) -> None:
        # An answer that violates its schema is our error, not the caller's.
        super().__init__(  # pyright: ignore[reportUnknownMemberType] - Powertools leaves parts of its types unknown
            enable_validation=True, response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR
        )
        self.entrance = Entrance()
        self._request_validation_middleware = self.entrance


def api_app() -> ApiApp:
    """Return a resolver that answers every error with a problem document."""
    app = ApiApp()

    def problem(error: ServiceError, extra: Mapping[str, Any] | None = None) -> Response[str]:
        return response_of(_problem(app.current_event.raw_event, error, logger.get_correlation_id(), extra))

    answer_errors(app, problem)
    answer_unknown_routes(app, problem)

    @app.exception_handler(RequestValidationError)
    def invalid(error: RequestValidationError) -> Response[str]:  # pyright: ignore[reportUnusedFunction]
        fields = [
            {"field": ".".join(str(part) for part in detail["loc"]), "message": detail["msg"]}
            for detail in error.errors()
        ]
        named = "; ".join(f"{field['field']}: {field['message']}" for field in fields)
        return problem(
            BadRequest("invalid_request", f"The request is not of the documented form: {named}."), {"errors": fields}
        )

    return app


def limited_answer(
    app: APIGatewayHttpResolver, limiter: RateLimiter, event: dict[str, Any], context: Any
) -> dict[str, Any]:
    """Answer one HTTP request within the rate limits; headers of every answer show the client's usage.

    The limits are applied around the resolver and not by a middleware, because a resolver validates a request before
    its middlewares run, and invalid requests count too.
    """
    try:
        usage = limiter.take(limiter.api, subject_of(event))
        answered = answer(app, event, context)
        if answered["statusCode"] == HTTPStatus.UNAUTHORIZED:
            limiter.take(limiter.refused, http_events.source_network(event))
    except TooManyRequests as error:
        return _problem(event, error, logger.get_correlation_id()).as_event()
    answered["headers"] = {**answered.get("headers", {}), **usage.headers}
    return answered


def _problem(
    event: http_events.Event, error: ServiceError, correlation_id: str, extra: Mapping[str, Any] | None = None
) -> HttpReply:
    """Answer with ``error`` as a problem document, in which ``code`` is stable."""
    document = {
        "type": f"{http_events.base_url(event, '')}/api/docs/problems#{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": int(error.status),
        "detail": error.message,
        "code": error.code,
        "correlation_id": correlation_id,
        **error.details,
        **(extra or {}),
    }
    headers = http_events.error_headers(error)
    if isinstance(error, TooManyRequests):
        headers |= error.headers
    if isinstance(error, PreconditionFailed) and error.etag:
        headers["ETag"] = error.etag
    return http_events.reply(event, msgspec.json.encode(document), PROBLEM, status=error.status, headers=headers)
