"""Hubs as processes of their own over the tables of a plane, with raw clients of HTTP and WebSockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from local.deployment import CREDENTIALS, REGION
from local.processes import READY_SECONDS, Program, accepts, clean_environment, free_port
from opencode_cloud.kit.edge import ORIGIN_HEADER
from opencode_cloud.kit.sealed_posts import Poster, PostSeal
from opencode_cloud.sharing.service.hubs import Hubs, post_key
from opencode_cloud.sharing.store import ShareStore
from tests.emulator.sharing.plane import DEPLOYMENT_KEY, Plane

ROOT = Path(__file__).resolve().parents[3]
ORIGIN_SECRET, HUB_SECRET = "o" * 40, "h" * 40
WAIT = 60.0
"""Seconds to wait for an immediate event, because the machine may be busy."""
Frame = dict[str, Any]


def hubs_for(store: ShareStore, relay: str = "") -> Hubs:
    """Return the posting of a function to hubs."""
    return Hubs(store, Poster(PostSeal(lambda: post_key(HUB_SECRET))), lambda: HUB_SECRET, relay=relay)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


@dataclass
class HubProcess:
    """One hub in a process of its own."""

    plane: Plane
    folder: Path
    options: dict[str, str] = field(default_factory=dict[str, str])
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        name = f"hub-{self.port}"
        self.program = Program(name, self.folder / "run", self.folder / "logs")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> HubProcess:
        code = ROOT / "functions" / "hub"
        environment = clean_environment(
            **CREDENTIALS,
            **self._settings(),
            AWS_ENDPOINT_URL=self.plane.emulator.url,
            AWS_ENDPOINT_URL_LAMBDA=self.plane.gateway.origin,
            AWS_DEFAULT_REGION=REGION,
            AWS_REGION=REGION,
            POWERTOOLS_METRICS_NAMESPACE="Test",
            POWERTOOLS_SERVICE_NAME="hub",
            PYTHON=sys.executable,
            PYTHONPATH=os.pathsep.join(map(str, (ROOT / "layers" / "core", code, ROOT))),
            **self.options,
        )
        self.program.start([sys.executable, "-m", "local.lifeline", str(code / "run.sh")], environment, ROOT)
        self.program.wait_until(lambda: accepts(self.port), READY_SECONDS)
        return self

    def stop(self) -> None:
        """End the process as a deployment does."""
        self.program.stop()

    def kill(self) -> None:
        """End the process as a crash does."""
        self.program.kill()

    def _settings(self) -> dict[str, str]:
        plane = self.plane
        return {
            "SHARES_TABLE": plane.shares,
            "SHARES_BUCKET": plane.bucket,
            "ACCESS_TABLE": plane.access,
            "SESSIONS_TABLE": plane.sessions,
            "SIGNING_KEYS": "none",
            "SESSION_KEY_SECRET": secret_of(plane, DEPLOYMENT_KEY),
            "ORIGIN_SECRET": secret_of(plane, ORIGIN_SECRET),
            "ADMIN_SECRET": secret_of(plane, "a" * 40),
            "HUB_SECRET": secret_of(plane, HUB_SECRET),
            "WEBSOCKET_ENDPOINT": plane.gateway.endpoint,
            "DELIVER_FUNCTION": plane.deliver,
            "PURGE_QUEUE_URL": plane.purges,
            "AUDIT_QUEUE_URL": plane.audit,
            "HUB_ADDRESS": self.address,
            "HUB_PORT": str(self.port),
        }

    # ------------------------------------------------------------------------------------------- clients

    def ask(self, method: str, path: str, body: Any = None, *, forwarded: bool = True) -> Answer:
        """Make one request, as the CDN passes it on."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            connection.request(method, path, content, {ORIGIN_HEADER: ORIGIN_SECRET} if forwarded else {})
            response = connection.getresponse()
            text = response.read()
            return Answer(response.status, json.loads(text) if text[:1] in (b"{", b"[") else text)
        finally:
            connection.close()

    async def asked(self, method: str, path: str, body: Any = None) -> Answer:
        return await asyncio.to_thread(self.ask, method, path, body)

    async def publish(self, share_id: str, secret: str, *published: Any) -> int:
        """Publish over HTTP and return the sequence number."""
        answer = await self.asked("POST", f"/api/share/{share_id}/sync", {"secret": secret, "data": published})
        assert answer.status == 200, answer
        return answer.body["seq"]

    @asynccontextmanager
    async def socket(self, path: str = "/live", **options: Any) -> AsyncIterator[ClientConnection]:
        headers = {ORIGIN_HEADER: ORIGIN_SECRET}
        options = {"compression": None, "close_timeout": 2, "ping_interval": None, **options}
        async with connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=headers, **options) as socket:
            yield socket

    @asynccontextmanager
    async def following(
        self, share_id: str, after: int = 0, ticket: str = "", **options: Any
    ) -> AsyncIterator[ClientConnection]:
        """Follow a share, and yield the socket when it has received everything so far."""
        async with self.socket(**options) as socket:
            await socket.send(json.dumps({"action": "resume", "share": share_id, "after": after, "ticket": ticket}))
            while (await next_frame(socket))["type"] != "ready":
                pass
            yield socket


def secret_of(plane: Plane, value: str) -> str:
    """Store a secret and return its ARN."""
    created = plane.emulator.client("secretsmanager").create_secret(Name=secrets.token_hex(8), SecretString=value)
    return created["ARN"]


async def next_frame(socket: ClientConnection) -> Frame:
    async with asyncio.timeout(WAIT):
        return json.loads(await socket.recv())


async def frames_until(socket: ClientConnection, seq: int) -> list[Frame]:
    """Return the frames until one reaches ``seq``."""
    frames: list[Frame] = []
    while not frames or frames[-1].get("seq", 0) < seq:
        frames.append(await next_frame(socket))
    return frames


async def close_code(socket: ClientConnection) -> int | None:
    """Wait until the server closes the socket, and return the code."""
    try:
        async with asyncio.timeout(WAIT):
            while True:
                await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def part(name: str, text: str = "") -> dict[str, Any]:
    return {"type": "part", "data": {"id": f"prt_{name}", "messageID": "msg_1", "type": "text", "text": text}}


def texts(frames: list[Frame]) -> list[str]:
    return [item["data"]["text"] for frame in frames for item in frame.get("items", ())]
