"""The live protocol of docs/protocol.md on the deployed stage, with the reference client and with bare frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import secrets
import string
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from opencode_cloud_client import (
    Backoff,
    Follower,
    Forbidden,
    InvalidRequest,
    NewItem,
    Share,
    ShareGone,
    ShareNotFound,
    ShareState,
    Unauthorized,
    follow,
)

FRAME_LIMIT = 32 * 1024
WAIT = 60.0
"""Seconds to wait for an immediate event, because the machine may be busy."""


class Stack(Protocol):
    """The running local stage (tests/conftest.py)."""

    @property
    def url(self) -> str: ...


def new_session_id() -> str:
    return f"ses_{secrets.token_hex(6)}{''.join(secrets.choice(string.ascii_letters) for _ in range(14))}"


def message(name: str, text: str = "") -> NewItem:
    return {"type": "message", "data": {"id": f"msg_{name}", "role": "user", "text": text}}


def part(name: str, text: str = "") -> NewItem:
    return {"type": "part", "data": {"id": f"prt_{name}", "messageID": "msg_1", "type": "text", "text": text}}


def texts(state: ShareState) -> dict[str, str]:
    return {key: item.data["text"] for key, item in state.items.items() if isinstance(item.data, dict)}  # type: ignore[misc]


@pytest.fixture
async def share(stack: Stack) -> AsyncIterator[Share]:
    async with await Share.create(stack.url, new_session_id()) as share:
        yield share
        await share.delete()


@pytest.fixture
async def follower(share: Share) -> AsyncIterator[Follower]:
    """Return a live viewer of the empty share."""
    async with share.follow() as follower:
        await follower.until_live()
        yield follower


@pytest.fixture
async def socket(stack: Stack) -> AsyncIterator[ClientConnection]:
    """Open a plain socket of the live protocol."""
    async with connect(f"ws{stack.url.removeprefix('http')}/live", compression=None, close_timeout=1) as socket:
        yield socket


async def ask(socket: ClientConnection, action: object) -> Any:
    """Send one action and return the next frame."""
    await socket.send(action if isinstance(action, str) else json.dumps(action))
    return await next_frame(socket)


async def next_frame(socket: ClientConnection) -> Any:
    async with asyncio.timeout(WAIT):
        return json.loads(await socket.recv())


async def rest_of(socket: ClientConnection) -> list[Any]:
    """Return all frames until the server closes the socket."""
    frames: list[Any] = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            frames.append(await next_frame(socket))
    return frames


async def test_acknowledged_batches_reach_a_viewer(share: Share, follower: Follower) -> None:
    async with share.publisher() as publisher:
        for n in range(20):
            seq = await publisher.sync([message("1", f"version {n}"), part(str(n), f"part {n}")])
            assert seq == 2 * (n + 1)
    state = await follower.until(40)
    assert texts(state) == {"message/msg_1": "version 19", **{f"part/msg_1/prt_{n}": f"part {n}" for n in range(20)}}
    assert follower.counters.connections == 1


async def test_state_is_what_import_reads_but_for_the_ids(share: Share, follower: Follower) -> None:
    await share.sync([{"type": "session", "data": {"id": "ses_x", "title": "é 🎉 \u2028", "n": 1e-7}}, message("1")])
    await share.sync([{"type": "never_heard_of", "data": [1, None, {"deep": True}]}, part("1", "text")])
    state = await follower.until(4)
    by_content = {without_ids(item) for item in state.data()}
    assert by_content == {without_ids(item) for item in await share.data()}
    assert state.items["session"].data == {"id": "ses_x", "title": "é 🎉 \u2028", "n": 1e-7}


def without_ids(item: NewItem) -> str:
    """Return an item as text, without the ids, which differ in each import."""
    return re.sub(r'"(ses|msg|prt)_[^"]*"', r'"\1"', json.dumps(item, sort_keys=True))


async def test_half_an_emoji_costs_no_update(share: Share, follower: Follower) -> None:
    async with share.publisher() as publisher:
        await publisher.sync([part("1", "cut \ud83d"), part("2", "whole")])
    await share.sync([part("3", "cut \ud83d")])
    expected = {"part/msg_1/prt_1": "cut \ufffd", "part/msg_1/prt_2": "whole", "part/msg_1/prt_3": "cut \ufffd"}
    assert texts(await follower.until(3)) == expected


async def test_published_over_http_arrives_too(share: Share, follower: Follower) -> None:
    assert await share.sync([part("1", "over http")]) == 1
    assert texts(await follower.until(1)) == {"part/msg_1/prt_1": "over http"}


async def test_frames_stay_within_the_gateway_s_limit(share: Share, follower: Follower) -> None:
    sizes = random.Random(1)
    batch = [part(str(n), "x" * sizes.randint(1, 9000)) for n in range(100)]
    await share.sync(batch)
    state = await follower.until(100)
    async with share.follow() as late:
        await late.until_live()
    assert state.data() == late.state.data()
    assert len(state.items) == 100
    for counters in (follower.counters, late.counters):
        assert counters.largest_frame <= FRAME_LIMIT
        assert counters.references == 0
    assert follower.counters.frames_received > 10


@pytest.mark.parametrize("size", [FRAME_LIMIT - 500, FRAME_LIMIT, 100_000, 1_000_000, 3_000_000])
async def test_large_items_come_by_reference(share: Share, follower: Follower, size: int) -> None:
    await share.sync([part("small", "small"), part("large", "é" * (size // 2))])
    state = await follower.until(2)
    assert texts(state) == {"part/msg_1/prt_small": "small", "part/msg_1/prt_large": "é" * (size // 2)}
    assert follower.counters.references == (size >= FRAME_LIMIT)
    assert follower.counters.largest_frame <= FRAME_LIMIT


async def test_long_messages_in_fragments(share: Share, follower: Follower) -> None:
    async with share.publisher() as publisher:
        assert await publisher.sync([part("1", "é" * 60_000)]) == 1  # four fragments
        assert await publisher.sync([part("2", "x" * 200_000)]) == 2  # over the socket's limit, so it is sent over HTTP
    state = await follower.until(2)
    assert [len(text) for text in texts(state).values()] == [60_000, 200_000]


async def test_large_gap_comes_as_a_document(share: Share) -> None:
    for start in range(0, 60, 20):
        await share.sync([part(str(n), f"{n} " * 10_000) for n in range(start, start + 20)])
    async with asyncio.timeout(WAIT), share.follow() as follower:
        state = await follower.until_live()
        assert len(state.items) == state.cursor == 60
        assert follower.counters.snapshots == 1
        await share.sync([part("0", "after the document")])
        assert texts(await follower.until(61))["part/msg_1/prt_0"] == "after the document"
    assert follower.counters.connections == 1


async def test_resume_sends_only_what_came_after(share: Share) -> None:
    for n in range(10):
        await share.sync([part(str(n % 5), f"version {n}")])
    async with asyncio.timeout(WAIT), share.follow(after=7) as follower:
        state = await follower.until_live()
    assert texts(state) == {
        "part/msg_1/prt_2": "version 7",
        "part/msg_1/prt_3": "version 8",
        "part/msg_1/prt_4": "version 9",
    }
    assert follower.counters.items_received == 3


async def test_resume_within_a_batch(share: Share) -> None:
    await share.sync([part(str(n), str(n)) for n in range(10)])
    async with asyncio.timeout(WAIT), share.follow(after=7) as follower:
        state = await follower.until_live()
    assert sorted(texts(state).values()) == ["7", "8", "9"]


async def test_wide_fan_out(share: Share) -> None:
    """More viewers than one invocation serves alone."""
    async with asyncio.timeout(3 * WAIT):
        followers = [share.follow() for _ in range(80)]
        try:
            await asyncio.gather(*[follower.until_live() for follower in followers])
            await share.sync([part("1", "to all")])
            states = await asyncio.gather(*[follower.until(1) for follower in followers])
        finally:
            await asyncio.gather(*[follower.close() for follower in followers])
    assert all(texts(state) == {"part/msg_1/prt_1": "to all"} for state in states)


async def test_unshare_ends_viewers_and_publishers(share: Share, follower: Follower, socket: ClientConnection) -> None:
    assert (await ask(socket, {"action": "resume", "share": share.id, "after": 0}))["type"] == "ready"
    async with share.publisher() as publisher:
        await publisher.sync([part("1")])
        await follower.until(1)
        assert (await next_frame(socket))["type"] == "items"
        await share.delete()
        with pytest.raises(ShareGone):
            await follower.update()
        with pytest.raises(ShareGone):
            await publisher.sync([part("2")])
    frames = await rest_of(socket)
    assert frames
    assert all(frame == {"type": "gone", "share": share.id} for frame in frames)  # the purge sends the frame too
    async with asyncio.timeout(WAIT), share.follow() as late:
        with pytest.raises(ShareGone):
            await late.until_live()
    with pytest.raises(ShareGone):
        await share.sync([part("3")])
    with pytest.raises(ShareGone):
        await share.data()
    await share.delete()


async def test_unknown_share(stack: Stack) -> None:
    async with asyncio.timeout(WAIT), follow(stack.url, "A" * 22) as follower:
        with pytest.raises(ShareNotFound):
            await follower.until_live()


@pytest.mark.parametrize(("secret", "kind"), [("wrong", Forbidden), ("", Unauthorized)])
async def test_only_the_secret_publishes(stack: Stack, share: Share, secret: str, kind: type[Exception]) -> None:
    async with Share(stack.url, share.id, secret, backoff=Backoff(attempts=1)) as thief:
        with pytest.raises(kind):
            await thief.sync([part("1")])
        with pytest.raises(kind):
            await thief.delete()
        async with thief.publisher() as publisher:
            with pytest.raises(kind):
                await publisher.sync([part("1")])
    assert await share.data() == []


async def test_malformed_batch_stores_nothing(share: Share, follower: Follower) -> None:
    bad: list[NewItem] = [part("good"), {"type": "message", "data": {"role": "user"}}]
    with pytest.raises(InvalidRequest, match="Item 1"):
        await share.sync(bad)
    async with share.publisher() as publisher:
        with pytest.raises(InvalidRequest, match="Item 1"):
            await publisher.sync(bad)
        assert await publisher.sync([part("good")]) == 1
    assert len((await follower.until(1)).items) == 1


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("not json", "invalid_message"),
        ([], "invalid_message"),
        ({"share": "A" * 22}, "invalid_message"),
        ({"action": "dance", "share": "A" * 22}, "unknown_action"),
        ({"action": "ping"}, "missing_share"),
        ({"action": "ping", "share": "A" * 22}, "share_not_found"),
        ({"action": "resume", "share": "A" * 22, "after": 0}, "share_not_found"),
        ({"action": "resume", "share": "A" * 22, "after": "0"}, "invalid_message"),
    ],
)
async def test_refused_actions(socket: ClientConnection, action: object, code: str) -> None:
    frame = await ask(socket, action)
    assert (frame["type"], frame["code"]) == ("error", code)
    assert frame["message"]


async def test_error_names_the_batch(share: Share, socket: ClientConnection) -> None:
    batch = {"action": "sync", "share": share.id, "secret": "wrong", "id": "mine", "items": [part("1")]}
    frame = await ask(socket, batch)
    assert (frame["code"], frame["id"]) == ("wrong_secret", "mine")
    frame = await ask(socket, {**batch, "secret": share.secret})
    assert frame == {"type": "ack", "id": "mine", "seq": 1}


async def test_ping_tells_the_end_of_the_log(share: Share, socket: ClientConnection) -> None:
    for seq in (1, 2):
        await share.sync([part("1", str(seq))])
        for known in ({}, {"after": 0}, {"after": seq}):
            frame = await ask(socket, {"action": "ping", "share": share.id, **known})
            assert frame == {"type": "pong", "seq": seq}


async def test_session_id_never_comes_out(stack: Stack, socket: ClientConnection) -> None:
    session_id = new_session_id()
    async with await Share.create(stack.url, session_id) as share:
        item: NewItem = {"type": "session", "data": {"id": session_id, "note": f"path/{session_id}/file"}}
        await share.sync([item])
        await socket.send(json.dumps({"action": "resume", "share": share.id, "after": 0}))
        frame = await next_frame(socket)
        data = frame["items"][0]["data"]
        assert session_id[4:] not in json.dumps(frame)
        assert data["note"] == f"path/{data['id']}/file"
        assert len(data["id"]) == len(session_id)
        assert data["id"].startswith("ses_")
        await share.delete()


async def test_create_is_idempotent(stack: Stack) -> None:
    session_id = new_session_id()
    first, second = await asyncio.gather(*[Share.create(stack.url, session_id) for _ in range(2)])
    async with first, second:
        assert (first.id, first.secret, first.url) == (second.id, second.secret, second.url)
        await first.delete()
        async with await Share.create(stack.url, session_id) as third:
            assert third.id != first.id
            await third.delete()
