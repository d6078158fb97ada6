"""A server that answers the command's requests: device flow, workspaces, keys, models. It records each request."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
MODELS = ("claude-haiku-4-5", "claude-sonnet-5", "gemini-3-pro", "gpt-5.2", "qwen3-coder")


@dataclass
class FakeCloud:
    """`polls` are the answers to the polls before the approval, as OAuth errors; `drop` closes connections."""

    url: str = ""
    polls: list[str] = field(default_factory=list[str])
    interval: float = 0.01
    expires_in: float = 600
    workspaces: list[Json] = field(default_factory=list[Json])
    chosen: str = ""
    keys: dict[str, Json] = field(default_factory=dict[str, Json])
    """The keys that were made, by their ids."""
    ended: list[str] = field(default_factory=list[str])
    """The tokens that were revoked."""
    config: Json | None = None
    requests: list[tuple[str, str, Any]] = field(default_factory=list[tuple[str, str, Any]])
    drop: int = 0
    """The number of requests to drop without an answer."""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict[str, tuple[int, Any]])
    """Answers by path, in place of its own."""
    drop_after: str = ""
    """Drop the request that follows the one for this path."""

    def answer(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        self.requests.append((method, path, body))
        self.drop += path == self.drop_after
        if path in self.answers:
            return self.answers[path]
        route = (method, path.split("?")[0])
        match route:
            case ("POST", "/auth/device/code"):
                begun = {"device_code": "device", "user_code": "BCDF-GHJK", "interval": self.interval}
                uri = f"{self.url}/device?user_code=BCDF-GHJK"
                return 200, {**begun, "expires_in": self.expires_in, "verification_uri_complete": uri}
            case ("POST", "/auth/device/token"):
                if self.polls:
                    return 400, {"error": self.polls.pop(0), "error_description": "as scripted"}
                tokens = {"access_token": "access", "refresh_token": "refresh", "token_type": "Bearer"}
                return 200, {**tokens, "expires_in": 3600, **({"org_id": self.chosen} if self.chosen else {})}
            case ("POST", "/auth/revoke"):
                self.ended.append(body["token"])
                return 200, {}
            case _:
                return self._with_token(method, path.split("?")[0], body, token)

    def _with_token(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        by_key = token in {key["secret"] for key in self.keys.values() if not key["revoked"]}
        if token != "access" and not by_key:
            return 401, {"type": "about:blank", "status": 401, "code": "login_required", "detail": "Log in."}
        if path == "/api/v1/workspaces" and not by_key:
            return 200, {"data": self.workspaces, "next_cursor": None}
        if path.endswith("/keys") and method == "POST" and not by_key:
            number = len(self.keys) + 1
            secret = "oc_sk_" + secrets.token_urlsafe(32)
            made = {"id": f"key_{number}", "secret": secret, "expires_at": body.get("expires_at"), "revoked": False}
            self.keys[made["id"]] = {**body, **made, "path": path}
            return 201, made
        if "/keys/" in path and method == "DELETE" and not by_key:
            self.keys[path.rpartition("/")[2]]["revoked"] = True
            return 204, None
        if path == "/zen/v1/models" and by_key:
            return 200, {"object": "list", "data": [{"id": model} for model in MODELS]}
        if path.startswith("/zen/v1/models/") and by_key and path.endswith("-latest"):
            return 200, {"id": path.rpartition("/")[2]}
        if path == "/api/config" and by_key and self.config:
            return 200, {"config": self.config}
        return 404, {"error": {"code": "route_not_found", "message": "There is nothing at this address."}}


@contextmanager
def serving() -> Iterator[FakeCloud]:
    cloud = FakeCloud(workspaces=[{"id": "wrk_1", "name": "Acme", "deleted_at": None}])

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if cloud.drop:
                cloud.drop -= 1
                self.close_connection = True
                return
            token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            status, document = cloud.answer(self.command, self.path, body, token)
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - names of the base class

        def log_message(self, *args: Any, **more: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
