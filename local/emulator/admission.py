"""Admission to the emulator: programs with the stage's secret, and the viewer's page for documents.

MiniStack verifies the signatures of roles and users, but takes any signature of the root key. And it lets pages of all
origins read its answers.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from local.browsers import is_foreign, is_ours

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that the viewer's page sends, to fetch a document by a presigned address."""
APIS = "/_aws/execute-api/"
"""Paths of the product's own APIs. They are public on AWS, and their functions judge origins themselves."""
CONNECTIONS = "@connections"
"""The part of an API's path by which functions post to sockets."""


def install() -> None:
    """Have MiniStack verify the root key's signatures too, by the stage's secret."""
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    evaluator._is_root_key = _is_exempt


def _is_exempt(_key: str) -> bool:
    return False


def guarded(application: Any) -> Any:
    """Return the ASGI application, which answers no other host and no foreign page."""

    async def admit(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket") and (fault := refusal(scope)):
            await _refuse(scope, send, *fault)
        else:
            await application(scope, receive, send)

    return admit


def refusal(scope: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return the status and the reason for which a request is refused; None if it is admitted."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if not is_ours(headers.get("host", "")):
        return 421, "This emulator answers names of the loopback interface only."
    if scope["path"].startswith(APIS) and CONNECTIONS not in scope["path"]:
        return None
    origin = headers.get("origin", "")
    if is_foreign(origin, headers.get("sec-fetch-site", ""), headers.get("sec-fetch-mode", "")):
        return 403, "This emulator answers no page of another site."
    if origin and scope.get("method", "GET") not in READING:
        return 403, "Pages may only read from this emulator."
    return None


async def _refuse(scope: Mapping[str, Any], send: Any, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"message": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
