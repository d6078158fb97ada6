"""Posts and records reach the sockets of a hub: in order, for those who may read, made on a thread where large."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from opencode_cloud.contracts.access import EnforcedPolicy
from opencode_cloud.contracts.ids import ShareId, WorkspaceId
from opencode_cloud.kit import log
from opencode_cloud.kit.asgi_middleware import Message
from opencode_cloud.kit.sealed_posts import POST_PATH, PostSeal
from opencode_cloud.kit.websocket_server import PreparedFrame
from opencode_cloud.sharing.hub.application import HubApplication, HubParts
from opencode_cloud.sharing.hub.delivery import LARGE_RECORD, HubDelivery
from opencode_cloud.sharing.hub.followers import Followers
from opencode_cloud.sharing.models import Item, Mode, Ownership, Position, Protocol, Record, Share, State, Viewer
from opencode_cloud.sharing.protocol import tickets
from opencode_cloud.sharing.service.access import ShareAccess
from opencode_cloud.sharing.service.hubs import HubPost
from tests.unit.sharing.steps import Steps, pause

ADDRESS = "http://10.0.0.1:8080"
SHARE = ShareId("S" * 22)
OWNERSHIP = Ownership(owner="acc_1", workspace_id=WorkspaceId("wrk_1"), mode=Mode.PASSWORD, ticket_key=b"k" * 32)


@dataclass
class Socket:
    """A socket that keeps what it gets."""

    frames: list[PreparedFrame] = field(default_factory=list[PreparedFrame])
    serialized: list[PreparedFrame] = field(default_factory=list[PreparedFrame])
    codes: list[int] = field(default_factory=list[int])
    is_open: bool = True

    def serialize(self, frames: Sequence[PreparedFrame]) -> None:
        self.serialized += frames

    def send(self, frames: Sequence[PreparedFrame]) -> bool:
        self.frames += frames
        return True

    def close(self, code: int) -> None:
        self.codes.append(code)

    @property
    def ends(self) -> list[int]:
        return [msgspec.json.decode(frame.text)["seq"] for frame in self.frames]


class Hub:
    """The delivery of a hub, whose threads run when the test says so. ``row`` is the share's."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.followers = Followers()
        self.row: Share | None = share()
        self.changed: list[ShareId] = []
        store: Any = SimpleNamespace(
            share=lambda _: self.row, record_with=lambda _, first: record(first), note_change=self.changed.append
        )
        gate = ShareAccess(store, cast("Any", _Workspaces()))
        self.delivery = HubDelivery(ADDRESS, self.followers, store, gate, self.steps)

    def follow(self, ticket: str = "") -> Socket:
        socket = Socket()
        connection_id = self.followers.add(cast("Any", socket))
        assert self.followers.join(SHARE, Viewer(connection_id, Protocol.LIVE, ticket))
        return socket

    async def run(self) -> None:
        await pause()
        while self.steps.waiting:
            self.steps.run_one()
            await pause()


class _Workspaces:
    def workspace(self, _: WorkspaceId) -> Any:
        return SimpleNamespace(policy=EnforcedPolicy())


def share(ownership: Ownership | None = None) -> Share:
    return Share(
        id=SHARE,
        state=State.ACTIVE,
        session_hash="h",
        secret_hash=b"s",
        sealed_session=b"x",
        pseudonym="ses_p",
        created_at=1,
        hint=Position(),
        ownership=ownership,
    )


def record(first: int, size: int = 10) -> Record:
    item = Item(key=f"part/m/{first}", type="part", data=b'"%s"' % (b"x" * size), seq=first, at=first)
    return Record(first=first, last=first, at=first, total=first, items=(item,))


def post(first: int, size: int = 10, mode: Mode | None = Mode.LINK) -> HubPost:
    return HubPost(kind="record", share_id=SHARE, first=first, record=record(first, size), mode=mode)


async def test_a_small_record_is_sent_at_once() -> None:
    hub = Hub()
    viewer = hub.follow()
    hub.delivery.deliver(post(1))
    assert viewer.ends == [1]


async def test_frames_of_a_large_record_are_made_on_a_thread() -> None:
    hub = Hub()
    viewer = hub.follow()
    hub.delivery.deliver(post(1, LARGE_RECORD))
    await pause()
    assert viewer.ends == []
    hub.steps.run_one()
    assert (len(viewer.serialized), viewer.frames) == (1, [])
    await pause()
    assert viewer.frames == viewer.serialized


@pytest.mark.parametrize("sizes", list(itertools.product([10, LARGE_RECORD], repeat=3)))
async def test_records_of_a_share_stay_in_order_whatever_their_sizes(sizes: tuple[int, ...]) -> None:
    hub = Hub()
    viewer = hub.follow()
    for first, size in enumerate(sizes, 1):
        hub.delivery.deliver(post(first, size))
    await hub.run()
    assert viewer.ends == [1, 2, 3]


async def test_a_socket_that_has_lost_access_is_closed_and_gets_nothing() -> None:
    hub = Hub()
    hub.row = share(OWNERSHIP)
    allowed = hub.follow(tickets.write(OWNERSHIP.ticket_key, SHARE))
    revoked = hub.follow(tickets.write(b"o" * 32, SHARE))
    hub.delivery.deliver(post(1, mode=Mode.PASSWORD))
    await hub.run()
    assert (allowed.ends, allowed.codes) == ([1], [])
    assert (revoked.ends, revoked.codes) == ([], [1001])


async def test_a_share_that_was_revoked_closes_its_sockets() -> None:
    hub = Hub()
    viewers = [hub.follow(), hub.follow()]
    hub.row = None
    hub.delivery.deliver(post(1, mode=Mode.PASSWORD))
    await hub.run()
    hub.delivery.deliver(HubPost(kind="closed", share_id=SHARE))
    assert [viewer.ends for viewer in viewers] == [[], []]
    assert [viewer.codes for viewer in viewers] == [[1001, 1001], [1001, 1001]]


async def test_the_end_of_all_sockets_has_the_share_read_before_the_next_commit() -> None:
    hub = Hub()
    hub.follow()
    hub.delivery.deliver(HubPost(kind="closed", share_id=SHARE))
    assert hub.changed == [SHARE]


async def test_a_record_that_cannot_be_delivered_is_counted_and_the_next_one_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(log, "count", lambda name, _value=1: counted.append(name))
    hub = Hub()
    viewer = hub.follow(tickets.write(OWNERSHIP.ticket_key, SHARE))
    hub.row = cast("Any", "no share")
    hub.delivery.deliver(post(1, mode=Mode.PASSWORD))
    await hub.run()
    hub.row = share(OWNERSHIP)
    hub.delivery.deliver(post(2, mode=Mode.PASSWORD))
    await hub.run()
    assert viewer.ends == [2]
    assert counted == ["FailedTaskCount"]


async def _posted(hub: Hub, sent: HubPost) -> int:
    """Send a post to the hub as another process does; return the status."""
    seal = PostSeal(lambda: b"k" * 32)
    passed = cast("Any", SimpleNamespace(pass_on=lambda _: None))
    parts: dict[str, Any] = dict.fromkeys(HubParts.__struct_fields__)
    parts |= {"delivery": hub.delivery, "seal": PostSeal(lambda: b"k" * 32), "hubs": passed, "threads": hub.steps}
    application = HubApplication(lambda: HubParts(**parts), str, longest_body=1000)
    application._parts = HubParts(**parts)
    answers: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": seal.seal(msgspec.msgpack.encode(sent))}

    async def send(message: Message) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": POST_PATH, "headers": [], "query_string": b"", "client": None}
    await application(scope, receive, send)
    return answers[0]["status"]


async def test_a_commit_of_another_hub_reaches_the_sockets_of_this_one() -> None:
    hub = Hub()
    viewer = hub.follow()
    assert await _posted(hub, post(1)) == 200
    assert viewer.ends == [1]


async def test_a_commit_of_another_hub_that_is_too_large_for_a_post_is_read_from_the_log() -> None:
    hub = Hub()
    viewer = hub.follow()
    assert await _posted(hub, HubPost(kind="record", share_id=SHARE, first=7)) == 200
    await hub.run()
    assert viewer.ends == [7]


async def test_sockets_are_told_that_comments_have_changed() -> None:
    hub = Hub()
    viewer = hub.follow()
    hub.delivery.deliver(HubPost(kind="comments", share_id=SHARE))
    assert [msgspec.json.decode(frame.text)["type"] for frame in viewer.frames] == ["comments"]
    assert (hub.changed, viewer.codes) == ([], [])
