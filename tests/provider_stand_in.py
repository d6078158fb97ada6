"""A stand-in for a model provider on the loopback interface. The key in the request selects the answer."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ANSWERS: dict[str, tuple[int, bytes]] = {
    "good-key": (200, json.dumps({"data": [{"id": "m"}]}).encode()),
    "googles-key": (200, json.dumps({"models": []}).encode()),
    "bad-key-0": (401, b"{}"),
    "googles-bad-key": (400, b"{}"),
    "busy-key": (429, b"{}"),
    "page-key": (200, b"<html>"),
    "elsewhere": (302, b""),
    "broken-key": (500, b""),
}
"""Status and body by key. ``elsewhere`` redirects to an address that must not be called."""


class ProviderStandIn:
    """A server that runs inside its ``with`` block. ``seen`` holds the requested paths."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.path)
                headers = self.headers
                bearer = headers.get("authorization", "").removeprefix("Bearer ")
                status, body = ANSWERS[headers.get("x-api-key") or headers.get("x-goog-api-key") or bearer]
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
