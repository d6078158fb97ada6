"""Push to hubs, which are processes that hold many sockets and stand once in a share's viewers (docs/decisions/029)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.kit.sockets import FRAME_BYTES
from opencode_cloud.sharing import models
from opencode_cloud.sharing.models import Item, Mode, Record, Share, Viewer

if TYPE_CHECKING:
    from opencode_cloud.kit.sealed_posts import Poster
    from opencode_cloud.sharing.store import ShareStore

POSTED_BYTES = 1024 * 1024
"""Bytes of items in one post. A hub reads a larger record from the log."""


class HubPost(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A message to hubs: a new record, the end of the share, the order that its sockets resume, or changed comments.

    The receiver passes the post on to the addresses in ``hubs``. Without ``record``, the hub reads the record that
    begins with ``first``.
    """

    kind: Literal["record", "deleted", "closed", "comments"]
    share_id: ShareId
    hubs: tuple[str, ...] = ()
    first: int = 0
    record: Record | None = None
    pseudonym: str = ""
    mode: Mode | None = Mode.LINK
    stale: frozenset[str] = frozenset()


class OwnHub(Protocol):
    """The hub in this process."""

    @property
    def address(self) -> str:
        """Its address, as other processes reach it."""
        ...

    def take(self, post: HubPost) -> None:
        """Pass a post on to the sockets of this process."""
        ...


def decode_post(content: bytes) -> HubPost:
    """Read a post. Raises :class:`msgspec.DecodeError`."""
    return msgspec.msgpack.decode(content, type=HubPost)


class Hubs:
    """The hubs among the viewers of shares.

    Each method takes all viewers of a share, tells the hubs among them once, and returns the others.
    """

    def __init__(
        self,
        store: ShareStore | None = None,
        poster: Poster | None = None,
        secret: Callable[[], str] = str,
        *,
        own: OwnHub | None = None,
        relay: str = "",
    ) -> None:
        """Without a ``poster``, hubs are skipped.

        ``secret`` returns the deployment's secret of hubs, with which the rows of hubs are signed. ``relay`` is the URL
        of any hub, which passes posts on; empty if every hub can be reached at its own address.
        """
        self._store = store
        self._poster = poster
        self._secret = secret
        self._own = own
        self._relay = relay

    def viewer(self, share_id: ShareId, address: str) -> Viewer:
        """Return the row of the hub at ``address`` among the viewers of a share."""
        return Viewer(ConnectionId(address), models.Protocol.HUB, self._proof(share_id, address))

    def push(
        self, share: Share, record: Record, viewers: Sequence[Viewer], stale: frozenset[str], mode: Mode | None
    ) -> Sequence[Viewer]:
        """Post a new record of ``share``, whose present audience is ``mode``."""
        if not any(viewer.protocol is models.Protocol.HUB for viewer in viewers):
            return viewers
        post = HubPost(
            kind="record",
            share_id=share.id,
            first=record.first,
            record=_for_frames(record),
            pseudonym=share.pseudonym,
            mode=mode,
            stale=stale,
        )
        return self._tell(post, viewers)

    def deleted(self, share_id: ShareId, viewers: Sequence[Viewer]) -> Sequence[Viewer]:
        """Post that a share is gone."""
        return self._tell(HubPost(kind="deleted", share_id=share_id), viewers)

    def closed(self, share_id: ShareId, viewers: Sequence[Viewer]) -> Sequence[Viewer]:
        """Post that the audience of a share has changed, so that all its sockets must resume."""
        return self._tell(HubPost(kind="closed", share_id=share_id), viewers)

    def commented(self, share_id: ShareId, viewers: Sequence[Viewer]) -> Sequence[Viewer]:
        """Post that the comments of a share have changed."""
        return self._tell(HubPost(kind="comments", share_id=share_id), viewers)

    def pass_on(self, post: HubPost) -> None:
        """Post to the hubs that ``post`` names, other than this one."""
        addresses = [address for address in post.hubs if self._own is None or address != self._own.address]
        self._post(msgspec.structs.replace(post, hubs=()), addresses)

    def _tell(self, post: HubPost, viewers: Sequence[Viewer]) -> Sequence[Viewer]:
        hubs = [viewer for viewer in viewers if viewer.protocol is models.Protocol.HUB]
        if not hubs:
            return viewers
        addresses = [viewer.connection_id for viewer in hubs if self._is_ours(post.share_id, viewer)]
        if self._own is not None and self._own.address in addresses:
            addresses.remove(ConnectionId(self._own.address))
            self._own.take(post)
        if self._relay and addresses and self._poster is not None:
            relayed = msgspec.structs.replace(post, hubs=tuple(addresses))
            if self._poster.post(self._relay, msgspec.msgpack.encode(relayed)) != "sent":
                log.count("FailedPostCount")
        else:
            self._post(post, addresses)
        return [viewer for viewer in viewers if viewer.protocol is not models.Protocol.HUB]

    def _post(self, post: HubPost, addresses: Sequence[str]) -> None:
        poster = self._poster
        if poster is None or not addresses:
            return
        content = msgspec.msgpack.encode(post)
        outcomes = parallel_map(lambda address: poster.post(address, content), addresses)
        for address, outcome in zip(addresses, outcomes, strict=True):
            if outcome == "unreachable":
                # Its sockets are gone with it, or it restores the row (hub/store.py).
                log.count("DeadHubCount")
                if self._store is not None:
                    self._store.remove_viewer(post.share_id, ConnectionId(address))
            elif outcome == "refused":
                log.count("FailedPostCount")

    def _is_ours(self, share_id: ShareId, viewer: Viewer) -> bool:
        """Tell whether a hub wrote the row. Addresses of other rows are never called."""
        if self._poster is None:
            return False
        genuine = hmac.compare_digest(viewer.ticket.encode(), self._proof(share_id, viewer.connection_id).encode())
        if not genuine:
            log.count("ForgedHubCount")
        return genuine

    def _proof(self, share_id: ShareId, address: str) -> str:
        return derive(self._secret(), "hub-row", share_id, address).hex()


NO_HUBS = Hubs()
"""For stages without hubs."""


def post_key(secret: str) -> bytes:
    """Return the key under which posts to hubs are sealed."""
    return derive(secret, "hub-posts")


def _for_frames(record: Record) -> Record | None:
    """Return a record with those bodies that frames carry; None if it is too large for a post."""
    items = tuple(map(_referenced, record.items))
    if sum(len(item.data) + len(item.key) for item in items) > POSTED_BYTES:
        return None
    return msgspec.structs.replace(record, items=items)


def _referenced(item: Item) -> Item:
    """Return an item without a body that is too large for a frame, which refers to it instead."""
    return item if len(item.data) <= FRAME_BYTES else msgspec.structs.replace(item, data=b"", body="log")
