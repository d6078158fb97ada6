"""Frame of every function: correlation ids, metrics, logs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from opencode_cloud.kit import http_events
from opencode_cloud.kit.log import logger, metrics

Handler = Callable[[dict[str, Any], Any], Any]
_TRACEPARENT = r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}"  # compiled at the first use: few clients send one


def correlation_id(event: dict[str, Any], context: Any) -> str:
    """Return the id of a request in all logs: the client's trace id, or else the gateway's request id."""
    if trace := trace_of(http_events.header(event, "traceparent")):
        return trace
    return event.get("requestContext", {}).get("requestId") or context.aws_request_id


def trace_of(traceparent: str) -> str:
    """Return the trace id in a header ``traceparent`` (W3C Trace Context); empty for an invalid header."""
    match = re.fullmatch(_TRACEPARENT, traceparent) if traceparent else None
    return match[1] if match else ""


def frame(function: Handler) -> Handler:
    """Return a Lambda handler of ``function`` that adds the correlation id to logs and writes metrics at the end."""

    @wraps(function)
    def invoke(event: dict[str, Any], context: Any) -> Any:
        logger.set_correlation_id(correlation_id(event, context))
        try:
            return function(event, context)
        finally:
            metrics.flush()

    return invoke


def correlated(function: Handler) -> Handler:
    """Return a handler that only adds the correlation id to logs, for a process that writes its metrics itself."""

    @wraps(function)
    def invoke(event: dict[str, Any], context: Any) -> Any:
        logger.set_correlation_id(correlation_id(event, context))
        return function(event, context)

    return invoke


class LazyHandler:
    """A handler that is imported and built at its first event, so that other events do not wait for it."""

    def __init__(self, build: Callable[[], Handler]) -> None:
        self._build = build
        self._handler: Handler | None = None

    def __call__(self, event: dict[str, Any], context: Any) -> Any:
        """Answer an event."""
        if self._handler is None:
            self._handler = self._build()
        return self._handler(event, context)


def is_below(path: str, event: dict[str, Any]) -> bool:
    """Tell whether an HTTP request is for a path that begins with ``path``; an event of another kind has no path."""
    return str(event.get("rawPath", "")).startswith(path)
