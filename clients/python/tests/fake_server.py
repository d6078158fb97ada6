"""A server of the live protocol with configurable faults: it cuts, drops, reorders and refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

SHARE = "AAAAAAAAAAAAAAAAAAAAAA"
SECRET = "secret"

Fate = Literal["pass", "drop", "late", "cut"]
Body = dict[str, Any]


class FakeServer:
    """`async with FakeServer() as server` listens at `server.url`; the log and the misbehavior are plain attributes."""

    def __init__(self) -> None:
        self.log: list[Body] = []
        self.viewers: list[ServerConnection] = []
        self.actions: list[Body] = []
        self.fragment_sizes: list[int] = []
        self.fate: Callable[[Body], Fate] = lambda frame: "pass"
        self.answer: Callable[[Body], list[Body] | None] = lambda action: None
        """Frames to send in reply to an action instead of the right ones."""
        self.handshake: list[HTTPStatus] = []
        """Statuses with which to refuse the next handshakes."""
        self.by_reference: set[int] = set()
        self.snapshot_over = 10**9
        self.document_lag = 0
        self.gone = False
        self._late: dict[ServerConnection, list[str]] = {}
        self._server: Server | None = None

    async def __aenter__(self) -> FakeServer:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._http, max_size=2**20, ping_interval=None, close_timeout=1
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return f"http://127.0.0.1:{port}"

    async def received(self, actions: int) -> None:
        """Wait until this number of actions has arrived."""
        while len(self.actions) < actions:  # noqa: ASYNC110 - the list is plain, and tests replace it
            await asyncio.sleep(0.001)

    async def publish(self, *data: object, key: str | None = None, at: int | None = None) -> int:
        """Commit one record with an item for each of `data`, and push it; return the last number."""
        after = len(self.log)
        for value in data:
            seq = len(self.log) + 1
            self.log.append(
                {
                    "seq": seq,
                    "at": seq if at is None else at,
                    "key": key or f"part/m/{seq}",
                    "type": "part",
                    "data": value,
                }
            )
        frame = self.items_frame(after)
        await asyncio.gather(*[self.send(viewer, frame) for viewer in list(self.viewers)])
        return len(self.log)

    def items_frame(self, after: int) -> Body:
        return {
            "type": "items",
            "after": after,
            "seq": len(self.log),
            "items": [self._shown(i) for i in self.log[after:]],
        }

    async def send(self, viewer: ServerConnection, frame: Body) -> None:
        """Send `frame`, or apply the fault that `fate` returns."""
        text = json.dumps(frame)
        late = self._late.setdefault(viewer, [])
        fate = self.fate(frame)
        try:
            match fate:
                case "cut":
                    viewer.transport.abort()
                case "drop":
                    pass
                case "late":
                    late.append(text)
                case "pass":
                    await viewer.send(text)
                    while late:
                        await viewer.send(late.pop(0))
        except ConnectionClosed:
            self._forget(viewer)

    def expected(self) -> dict[str, Any]:
        """Return the correct state: per key the data of the item with the largest (at, seq)."""
        winners = sorted(self.log, key=lambda item: (item["at"], item["seq"]))
        return {item["key"]: item["data"] for item in winners}

    def _shown(self, item: Body) -> Body:
        if item["seq"] not in self.by_reference:
            return item
        return {**{k: v for k, v in item.items() if k != "data"}, "href": f"/share/{SHARE}/items/{item['seq']}"}

    def _forget(self, viewer: ServerConnection) -> None:
        if viewer in self.viewers:
            self.viewers.remove(viewer)

    async def _serve(self, viewer: ServerConnection) -> None:
        try:
            while True:
                pieces = [piece async for piece in viewer.recv_streaming(decode=False)]
                self.fragment_sizes += map(len, pieces)
                action: Body = json.loads(b"".join(pieces))
                self.actions.append(action)
                special = self.answer(action)
                for frame in self._right_answer(viewer, action) if special is None else special:
                    await self.send(viewer, frame)
        except ConnectionClosed:
            self._forget(viewer)

    def _right_answer(self, viewer: ServerConnection, action: Body) -> list[Body]:
        if self.gone:
            return [{"type": "gone", "share": SHARE}]
        match action["action"]:
            case "resume":
                if viewer not in self.viewers:
                    self.viewers.append(viewer)
                return self._missed(action["after"])
            case "ping":
                return [{"type": "pong", "seq": len(self.log)}]
            case "sync":
                for item in action["items"]:
                    seq = len(self.log) + 1
                    self.log.append({"seq": seq, "at": seq, "key": f"{item['type']}/{seq}", **item})
                return [{"type": "ack", "id": action["id"], "seq": len(self.log)}]
            case _:
                return [{"type": "error", "code": "unknown_action", "message": "No.", "status": 400}]

    def _missed(self, after: int) -> list[Body]:
        tail = len(self.log)
        if tail - after > self.snapshot_over:
            return [{"type": "snapshot", "seq": tail, "href": f"/share/{SHARE}/items"}]
        return [*([self.items_frame(after)] if tail > after else []), {"type": "ready", "seq": tail}]

    def _http(self, connection: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path)
        if path.path == "/live":
            return (
                self._reply(self.handshake.pop(0), {"error": "refused", "message": "No."}) if self.handshake else None
            )
        *_, last = path.path.split("/")
        if last != "items":
            return self._reply(HTTPStatus.OK, self.log[int(last) - 1])
        after = int(parse_qs(path.query).get("after", ["0"])[0])
        end = len(self.log) - self.document_lag
        items = [self._shown(item) for item in self.log[after:end]]
        return self._reply(HTTPStatus.OK, {"schema": 1, "share": SHARE, "seq": end, "items": items})

    def _reply(self, status: HTTPStatus, body: object) -> Response:
        content = json.dumps(body).encode()
        headers = Headers(
            {"Content-Length": str(len(content)), "Content-Type": "application/json", "Connection": "close"}
        )
        return Response(status.value, status.phrase, headers, content)
