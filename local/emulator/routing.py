"""Leads calls of DynamoDB straight to their service.

MiniStack compares each request with the forms of all its other services first: hosts of buckets, APIs, load balancers
and pages. That takes a fifth of the time of a short call. No other service answers at the address of DynamoDB's calls.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

TARGET = "DynamoDB_"
"""The beginning of the header `X-Amz-Target` of DynamoDB's calls."""
HOSTS = ("127.0.0.1", "localhost")
"""Names of the emulator itself. Names beneath belong to other services."""
OTHER_HANDLERS = ("_handle_pre_body_request", "_handle_post_body_shortcuts", "_handle_special_data_plane_request")
"""Functions of MiniStack that answer a request of another service, and return None for others."""


def install() -> None:
    """Hook into MiniStack's routing. Signatures and permissions are verified behind it."""
    app: Any = import_module("ministack.app")
    for name in OTHER_HANDLERS:
        setattr(app, name, _unless_dynamodb(getattr(app, name)))


def is_dynamodb(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request is a call of DynamoDB. The names of `headers` are in lower case."""
    if method != "POST" or path != "/" or not headers.get("x-amz-target", "").startswith(TARGET):
        return False
    return headers.get("host", "").partition(":")[0] in HOSTS


def _unless_dynamodb(handle: Any) -> Any:
    async def handle_other(method: str, path: str, headers: Mapping[str, str], *rest: Any, **options: Any) -> Any:
        if is_dynamodb(method, path, headers):
            return None
        return await handle(method, path, headers, *rest, **options)

    return handle_other
