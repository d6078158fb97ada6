"""The frequent routes of publishers in a hub: ``sync`` of all generations of clients, on the event loop.

They answer as :class:`~opencode_cloud.sharing.routes.clients.SharingRoutes` does, which serves all other routes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, TypeVar

import msgspec

from opencode_cloud.contracts.access import WORKSPACE_HEADER, KeyRefused
from opencode_cloud.contracts.ids import ShareId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.requests import request_of
from opencode_cloud.kit import foreign_json, http_events
from opencode_cloud.kit.errors import BadRequest, Forbidden, ServiceError
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol.capability import share_of
from opencode_cloud.sharing.protocol.items import from_legacy, parse
from opencode_cloud.sharing.routes.clients import LegacySyncBody, SyncBody
from opencode_cloud.sharing.service.group_publishing import Publication

if TYPE_CHECKING:
    from opencode_cloud.access.service import Access
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.sharing.hub.group_commits import GroupCommits
    from opencode_cloud.sharing.service.owning import Owning

LARGE_BODY = 64 * 1024
"""A larger body is decoded on a thread, so that other sockets need not wait for it."""
_SYNC = re.compile(r"/api/share(s?)/([^/]+)/sync")
Body = TypeVar("Body", SyncBody, LegacySyncBody)
Result = TypeVar("Result")
HotRoute = Callable[[http_events.Event, bytes], Awaitable[bytes]]
"""Takes an event and its body, and returns the JSON of the answer 200. Raises the errors of all routes."""


class HotRoutes:
    """The routes, over group commits."""

    def __init__(self, commits: GroupCommits, access: Access, owning: Owning, threads: Executor) -> None:
        self._commits = commits
        self._access = access
        self._owning = owning
        self._threads = threads

    def find(self, method: str, path: str) -> HotRoute | None:
        """Return the route of a request; None for a request that :class:`SharingRoutes` serves."""
        if method != "POST":
            return None
        if path == "/share_sync":
            return self.legacy_sync
        match = _SYNC.fullmatch(path)
        if match is None:
            return None
        share_id, owned = ShareId(match[2]), bool(match[1])
        return lambda event, body: self.sync(share_id, event, body, owned=owned)

    async def sync(self, share_id: ShareId, event: http_events.Event, body: bytes, *, owned: bool) -> bytes:
        """``POST /api/share/{id}/sync`` and, ``owned``, ``POST /api/shares/{id}/sync`` -> ``{seq}``."""

        async def commit() -> bytes:
            actor = await self._blocking(self._sender, event) if owned else None
            secret, items = await self._decoded(body, _sync_of)
            # Limits by address are for senders without an account.
            address = "" if owned else http_events.source_address(event)
            publication = Publication(secret, items, http_events.arrival_ms(event), address, actor)
            done = await self._commits.publish(share_id, publication)
            return b'{"seq":%d}' % done.seq

        return await self._noting_refusals(commit(), event, share_id)

    async def legacy_sync(self, event: http_events.Event, body: bytes) -> bytes:
        """``POST /share_sync {sessionID, secret, key, content}`` -> ``{}``."""
        secret, items = await self._decoded(body, _legacy_sync_of)
        share_id = share_of(secret)

        async def commit() -> bytes:
            publication = Publication(secret, items, http_events.arrival_ms(event), http_events.source_address(event))
            await self._commits.publish(share_id, publication)
            return b"{}"

        return await self._noting_refusals(commit(), event, share_id)

    async def _decoded(
        self, body: bytes, read: Callable[[bytes], tuple[str, Sequence[Item]]]
    ) -> tuple[str, Sequence[Item]]:
        return await self._blocking(read, body) if len(body) > LARGE_BODY else read(body)

    def _sender(self, event: http_events.Event) -> Actor:
        workspace_id = WorkspaceId(http_events.header(event, WORKSPACE_HEADER))
        return self._access.member(request_of(event), workspace_id, Permission.SHARE_OWN)

    def _sender_or_none(self, event: http_events.Event) -> Actor | None:
        try:
            return self._sender(event) if http_events.bearer(event) else None
        except ServiceError:
            return None

    async def _noting_refusals(self, work: Awaitable[bytes], event: http_events.Event, share_id: ShareId) -> bytes:
        """Do ``work``; if a policy, a permission or a limit of a key refuses it, record that for the admins."""
        try:
            return await work
        except KeyRefused as refused:
            await self._blocking(self._owning.record_refused_key, refused)
            raise
        except Forbidden as error:
            await self._blocking(self._note_refusal, error, share_id, event)
            raise

    def _note_refusal(self, error: Forbidden, share_id: ShareId, event: http_events.Event) -> None:
        address = http_events.source_address(event)
        self._owning.record_refused(error, share_id, lambda: self._sender_or_none(event), address)

    async def _blocking(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _sync_of(body: bytes) -> tuple[str, Sequence[Item]]:
    decoded = _decode(body, SyncBody)
    return decoded.secret, parse(decoded.data)


def _legacy_sync_of(body: bytes) -> tuple[str, Sequence[Item]]:
    decoded = _decode(body, LegacySyncBody)
    return decoded.secret, [from_legacy(decoded.key, decoded.content)]


def _decode(body: bytes, form: type[Body]) -> Body:
    try:
        return foreign_json.decode(body, form)
    except (ValueError, msgspec.DecodeError) as error:
        raise BadRequest("invalid_body", f"The body must be JSON of the documented form: {error}.") from error
