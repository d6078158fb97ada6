"""Dates requests by the front door, which reads them first, as API Gateway dates them before it reads their bodies.

MiniStack dates an event when it is complete. A small request that follows a large one would then be the earlier one.
"""

from importlib import import_module
from typing import Any, cast

ARRIVAL_HEADER = "x-local-arrival"
"""Header of the front door: the arrival of a request's head, in milliseconds since the epoch."""


def install() -> None:
    """Hook into MiniStack's invocations."""
    service: Any = import_module("ministack.services.lambda_svc")
    execute = service._execute_function_with_config_scope

    def dated(record: Any, event: Any, *arguments: Any, **options: Any) -> Any:
        return execute(record, with_arrival(event), *arguments, **options)

    service._execute_function_with_config_scope = dated


def with_arrival(event: Any) -> Any:
    """Return an event with the front door's time, if it has the header for it."""
    if not isinstance(event, dict):
        return event
    request = cast("dict[str, Any]", event)
    headers = dict[str, str](request.get("headers") or {})
    arrived = headers.pop(ARRIVAL_HEADER, "")
    if not arrived.isdigit():
        return request
    return {**request, "headers": headers, "requestContext": {**request["requestContext"], "timeEpoch": int(arrived)}}
