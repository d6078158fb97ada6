"""The hub as an ASGI application: all routes of sharing, the posts of other processes, and the life of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit import event_loop, http_events, lambda_handlers, log
from opencode_cloud.kit.asgi_events import EventAdapter, event_of, read_body, send_response
from opencode_cloud.kit.asgi_middleware import Receive, Scope, Send
from opencode_cloud.kit.edge import EDGE, Forwarded
from opencode_cloud.kit.errors import BadRequest, Forbidden, MethodNotAllowed, ServiceError, unexpected
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.sealed_posts import POST_PATH, PostSeal
from opencode_cloud.kit.starting import spare_present_objects
from opencode_cloud.kit.websocket_server import ENDPOINT
from opencode_cloud.sharing.service.hubs import HubPost, Hubs, decode_post

if TYPE_CHECKING:
    from opencode_cloud.sharing.hub.announcing import Announcing
    from opencode_cloud.sharing.hub.delivery import HubDelivery
    from opencode_cloud.sharing.hub.endpoint import HubEndpoint
    from opencode_cloud.sharing.hub.followers import Followers
    from opencode_cloud.sharing.hub.group_commits import GroupCommits
    from opencode_cloud.sharing.hub.local_sockets import HubSockets
    from opencode_cloud.sharing.hub.routes import HotRoutes
    from opencode_cloud.sharing.hub.store import HubShareStore

HEALTH = "/internal/health"
POST_BYTES = 4 * 1024 * 1024
"""Longest post: the items of one record as frames carry them, and their keys."""
LARGE_POST = 64 * 1024
LARGE_BYTES = 1024 * 1024
LARGE_BODIES = 8
"""Bodies of over ``LARGE_BYTES`` that are held at one time. Further ones are read after them."""
RENEW_SECONDS = 20.0
FLUSH_SECONDS = 10.0
_JSON = [
    (b"content-type", b"application/json"),
    (b"access-control-allow-origin", b"*"),
    (b"cache-control", b"private, no-store"),
]


class HubParts(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of one process."""

    threads: Executor
    adapter: EventAdapter
    routes: HotRoutes
    endpoint: HubEndpoint
    commits: GroupCommits
    announcing: Announcing
    delivery: HubDelivery
    sockets: HubSockets
    store: HubShareStore
    followers: Followers
    hubs: Hubs
    seal: PostSeal


class HubApplication:
    """Serves requests, and hands sockets to the endpoint."""

    _parts: HubParts

    def __init__(self, build: Callable[[], HubParts], origin_secret: Callable[[], str], *, longest_body: int) -> None:
        """``build`` is called when the process starts. ``origin_secret`` returns the CDN's secret; it blocks once.

        ``longest_body`` is in bytes.
        """
        self._build = build
        self._origin_secret = origin_secret
        self._longest_body = longest_body
        self._large = asyncio.Semaphore(LARGE_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == HEALTH:
            await send_response(send, HTTPStatus.OK, _JSON, b'{"status":"ok"}')
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    # ----------------------------------------------------------------------------------------- requests

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        event = event_of(scope)
        try:
            if scope["path"] == POST_PATH:
                body = await self._take_post(scope["method"], event, receive)
            else:
                event[EDGE] = self._proven(event)
                route = self._parts.routes.find(scope["method"], scope["path"])
                if route is None:
                    await self._parts.adapter.answer(event, receive, send)
                    return
                body = await route(event, await self._read(event, receive))
        except ServiceError as error:
            await _refuse(event, error, send)
        except Exception:  # noqa: BLE001 - the last resort: logged, and answered
            logger.exception("request failed")
            await _refuse(event, unexpected(), send)
        else:
            await send_response(send, HTTPStatus.OK, _JSON, body)

    def _proven(self, event: http_events.Event) -> Forwarded:
        forwarded = Forwarded(event["headers"], self._origin_secret)
        if not forwarded.proven:
            raise Forbidden("forbidden", "Ask at the public address.")
        return forwarded

    async def _read(self, event: http_events.Event, receive: Receive) -> bytes:
        """Return a body. Few large ones are held at one time, so that memory is bounded."""
        announced = int(http_events.header(event, "content-length", "0"))
        if announced <= LARGE_BYTES and not http_events.header(event, "transfer-encoding"):
            return await read_body(receive, event["headers"], self._longest_body)
        async with self._large:
            return await read_body(receive, event["headers"], self._longest_body)

    async def _take_post(self, method: str, event: http_events.Event, receive: Receive) -> bytes:
        """Take a record, or the end of a share, from a function or another hub."""
        if method != "POST":
            raise MethodNotAllowed("method_not_allowed", "Hubs take posts only.")
        body = await read_body(receive, event["headers"], POST_BYTES)
        loop = asyncio.get_running_loop()
        # A large post is opened on a thread, so that sockets need not wait for it.
        large = len(body) > LARGE_POST
        post = await loop.run_in_executor(self._parts.threads, self._opened, body) if large else self._opened(body)
        if not post.hubs or self._parts.delivery.address in post.hubs:
            self._parts.delivery.deliver(msgspec.structs.replace(post, hubs=()))
        if post.hubs:
            await loop.run_in_executor(self._parts.threads, self._parts.hubs.pass_on, post)
        return b"{}"

    def _opened(self, body: bytes) -> HubPost:
        try:
            return decode_post(self._parts.seal.open(body))
        except Forbidden:
            log.count("RefusedPostCount")
            raise
        except msgspec.DecodeError as error:
            raise BadRequest("invalid_post", "The post comes from another version of this deployment.") from error

    # ------------------------------------------------------------------------------------ life of the process

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        loop = asyncio.get_running_loop()
        self._parts = self._build()
        scope["state"][ENDPOINT] = self._parts.endpoint
        self._parts.delivery.start(loop)
        self._parts.sockets.start(loop)
        await loop.run_in_executor(self._parts.threads, self._origin_secret)
        spare_present_objects()
        chores = self._renew(), self._flush(), self._parts.endpoint.watch(), event_loop.watch(event_loop.log_step)
        work = [loop.create_task(each) for each in chores]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in work:
            task.cancel()
        # Requests have ended. Their records are durable, and still have to reach other hubs.
        await self._parts.commits.settle()
        await self._parts.announcing.settle()
        await loop.run_in_executor(self._parts.threads, self._parts.store.resign)
        log.metrics.flush()
        await send({"type": "lifespan.shutdown.complete"})

    async def _renew(self) -> None:
        """Keep the rows of this hub, and learn of shares that ended without a post."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            followed = self._parts.followers.followed()
            try:
                gone = await loop.run_in_executor(self._parts.threads, self._parts.store.renew, followed)
            except Exception:  # noqa: BLE001 - the next round tries again
                logger.exception("rows of this hub could not be renewed")
                continue
            for share_id in gone:
                self._parts.delivery.deliver(HubPost(kind="deleted", share_id=share_id))

    async def _flush(self) -> None:
        """Write metrics, which a function writes at the end of an invocation."""
        while True:
            with suppress(ValueError):
                log.metrics.flush()
            await asyncio.sleep(FLUSH_SECONDS)


async def _refuse(event: http_events.Event, error: ServiceError, send: Send) -> None:
    correlation = lambda_handlers.trace_of(http_events.header(event, "traceparent"))
    reply = http_events.error_reply(event, error, correlation or event["requestContext"]["requestId"])
    headers = [(b"content-type", b"application/json")]
    headers += [(name.lower().encode(), str(value).encode("latin-1")) for name, value in reply.headers.items()]
    await send_response(send, int(error.status), headers, str(reply.body).encode())
