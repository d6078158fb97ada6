"""A local HTTP server that behaves as API Gateway's ``@connections`` and as Lambda's asynchronous invocation do.

``test_connections.py`` compares the first with the emulator's own ``@connections``.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from opencode_cloud.kit.sockets import MESSAGE_BYTES

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=\S+/execute-api/aws4_request, SignedHeaders=\S+, Signature=[0-9a-f]{64}"
)


@dataclass
class Socket:
    """One viewer's end of a connection."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(9) + "=")
    open: bool = True
    sent: list[bytes] = field(default_factory=list[bytes])
    refusals: deque[int] = field(default_factory=deque[int])
    """Statuses that the next calls return without any effect."""

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.sent]

    def leave(self) -> None:
        self.open = False


class Gateway:
    """The server, its sockets, and the recorded invocations of functions."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.gateway = self
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.endpoint = f"{self.origin}/v1"
        self.sockets: dict[str, Socket] = {}
        self.invocations: dict[str, list[dict[str, Any]]] = {}

    def connect(self) -> Socket:
        """Open a socket."""
        socket = Socket()
        self.sockets[socket.id] = socket
        return socket

    def connections(self, method: str, connection: str, body: bytes) -> int:
        """Return the status of a call of ``@connections``."""
        socket = self.sockets.get(connection)
        if socket is None or not socket.open:
            return 410
        if socket.refusals:
            return socket.refusals.popleft()
        if method == "POST":
            if len(body) > MESSAGE_BYTES:
                return 413
            socket.sent.append(body)
        if method == "DELETE":
            socket.leave()
        return 204 if method == "DELETE" else 200

    def invoke(self, function: str, kind: str, body: bytes) -> int:
        """Return the status of an invocation of a function."""
        if kind != "Event":
            return 400
        self.invocations.setdefault(function, []).append(json.loads(body))
        return 202

    @contextmanager
    def serving(self) -> Iterator[Gateway]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield self
        self._server.shutdown()
        self._server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    gateway: Gateway


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        status = self._status(body)
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def _status(self, body: bytes) -> int:
        assert isinstance(self.server, _Server)
        match self.path.split("/"):
            case ["", "v1", "@connections", connection]:
                if not _SIGNED.fullmatch(self.headers.get("authorization", "")):
                    return 403
                return self.server.gateway.connections(self.command, unquote(connection), body)
            case ["", "2015-03-31", "functions", function, "invocations"]:
                kind = self.headers.get("x-amz-invocation-type", "")
                return self.server.gateway.invoke(unquote(function), kind, body)
            case _:
                return 404

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names that the base class calls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Do not log requests to the output of tests."""
