"""Following with a faulty server: the final state is correct, and the errors are the documented ones."""

from __future__ import annotations

import asyncio
import random
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from fake_server import SHARE, Body, FakeServer, Fate

from opencode_cloud_client import (
    Backoff,
    ConnectionLost,
    Follower,
    ProtocolError,
    ShareGone,
    ShareNotFound,
    ShareState,
    Timing,
    follow,
)

QUICK = Backoff(first=0.005, ceiling=0.02)
TIMING = Timing(ping=60, answer=60, overtaking=0.03, opening=60)
"""Long timeouts for tests of other features, on a busy machine."""
IMPATIENT = Timing(ping=60, answer=0.4, overtaking=0.03, opening=60)
"""A short timeout for unanswered connections. On a busy machine it may also hit an answered one."""


def watch(
    server: FakeServer,
    after: int = 0,
    *,
    timing: Timing = TIMING,
    state: ShareState | None = None,
    http: httpx.AsyncClient | None = None,
) -> Follower:
    return follow(server.url, SHARE, after, state=state, backoff=QUICK, timing=timing, http=http)


def data(state: ShareState) -> dict[str, Any]:
    return {key: item.data for key, item in state.items.items()}


async def test_history_then_live(server: FakeServer) -> None:
    await server.publish("a", "b")
    async with watch(server) as follower:
        await follower.until_live()
        assert data(follower.state) == server.expected()
        seq = await server.publish("c")
        await follower.until(seq)
        assert data(follower.state) == server.expected()
        assert follower.live
    assert follower.counters.resumes == follower.counters.connections == 1


async def test_iterates_changes(server: FakeServer) -> None:
    await server.publish("old", key="session")
    async with watch(server) as follower:
        changes = aiter(follower)
        first = await anext(changes)
        await server.publish("new", key="session")
        second = await anext(changes)
    assert (first.item.data, first.previous) == ("old", None)
    assert (second.item.data, second.previous) == ("new", first.item)


async def test_empty_share_becomes_live(server: FakeServer) -> None:
    async with watch(server) as follower:
        update = await follower.update()
    assert (update.changes, update.cursor, update.live) == ((), 0, True)


async def test_starts_after_what_is_known(server: FakeServer) -> None:
    await server.publish("a", "b", "c")
    async with watch(server, after=2) as follower:
        await follower.until_live()
    assert data(follower.state) == {"part/m/3": "c"}
    assert server.actions[0]["after"] == 2


async def test_continues_an_earlier_state(server: FakeServer) -> None:
    await server.publish("a", "b")
    async with watch(server) as first:
        state = await first.until_live()
    await server.publish("c")
    async with watch(server, state=state) as second:
        await second.until_live()
    assert data(state) == server.expected()
    assert second.counters.items_received == 1


async def test_later_arrival_wins_though_committed_first(server: FakeServer) -> None:
    await server.publish("late arrival", key="session", at=20)
    await server.publish("early arrival", key="session", at=10)
    async with watch(server) as follower:
        await follower.until_live()
        assert data(follower.state) == {"session": "late arrival"}
        assert follower.state.cursor == 2


@pytest.mark.parametrize("seed", range(5))
async def test_survives_cuts_losses_and_reordering(server: FakeServer, seed: int) -> None:
    chance = random.Random(seed)

    fates: list[Fate] = ["pass", "pass", "pass", "pass", "pass", "pass", "drop", "late", "cut"]

    def fate(frame: Body) -> Fate:
        return chance.choice(fates) if frame["type"] == "items" else "pass"

    server.fate = fate
    async with watch(server) as follower:
        publishing = asyncio.create_task(publish_randomly(server, chance))
        while not publishing.done() or follower.state.cursor < len(server.log):
            try:
                async with asyncio.timeout(0.5):
                    await follower.update()
            except TimeoutError:
                server.fate = lambda frame: "pass"
                await server.publish("the end")  # a lost last frame is detected when the next one arrives
        await publishing
    assert data(follower.state) == server.expected()


async def publish_randomly(server: FakeServer, chance: random.Random) -> None:
    for n in range(100):
        await server.publish(*[n] * chance.randint(1, 3), key=f"part/m/{chance.randint(1, 10)}")
        await asyncio.sleep(0.001)


async def test_nothing_comes_twice_after_a_cut(server: FakeServer) -> None:
    await server.publish(*range(50))
    async with watch(server) as follower:
        await follower.until_live()
        server.viewers[0].transport.abort()
        await server.publish("missed")
        await follower.until(51)
        assert follower.counters.items_received == 51
        assert follower.counters.duplicate_items == 0
        assert follower.counters.connections == 2


async def test_normal_close_is_followed_by_a_resume(server: FakeServer) -> None:
    async with watch(server) as follower:
        await follower.until_live()
        await server.viewers[0].close(1001, "Going away")  # as API Gateway does after two hours
        seq = await server.publish("after two hours")
        await follower.until(seq)
    assert data(follower.state) == server.expected()


async def test_overtaking_frames_need_no_resume(server: FakeServer) -> None:
    async with watch(server, timing=Timing(overtaking=60)) as follower:
        await follower.until_live()
        fates: list[Fate] = ["late", "pass"]
        server.fate = lambda frame: fates.pop(0) if fates else "pass"
        await server.publish("first")
        await server.publish("second")
        await follower.until(2)
        assert follower.live
    assert data(follower.state) == server.expected()
    assert follower.counters.resumes == 1


async def test_lost_frame_is_asked_for(server: FakeServer) -> None:
    async with watch(server) as follower:
        await follower.until_live()
        fates: list[Fate] = ["drop"]
        server.fate = lambda frame: fates.pop(0) if fates else "pass"
        await server.publish("lost")
        await server.publish("shows the gap")
        await follower.until(2)
    assert data(follower.state) == server.expected()
    assert [action["after"] for action in server.actions] == [0, 0]
    assert follower.counters.connections == 1


async def test_ping_finds_a_lost_last_frame(server: FakeServer) -> None:
    async with watch(server, timing=Timing(ping=0.05, answer=60, overtaking=0.01)) as follower:
        await follower.until_live()
        server.fate = lambda frame: "drop" if frame["type"] == "items" and len(server.actions) < 3 else "pass"
        await server.publish("lost")
        await follower.until(1)
    actions = [action["action"] for action in server.actions]
    assert actions[:2] == ["resume", "ping"]
    assert actions.count("resume") == 2


async def test_silence_ends_a_connection(server: FakeServer) -> None:
    server.answer = lambda action: [] if len(server.actions) < 2 else None
    await server.publish("a")
    async with watch(server, timing=IMPATIENT) as follower:
        await follower.until_live()
    assert follower.counters.connections >= 2


async def test_resume_left_unanswered_among_live_frames_ends_a_connection(server: FakeServer) -> None:
    """Frames of new commits must not keep a connection alive that owes an older one."""
    async with watch(server, timing=IMPATIENT) as follower:
        await follower.until_live()
        await lose_one_and_its_repair(server)
        publishing = asyncio.create_task(publish_steadily(server))
        await follower.until(1)
        publishing.cancel()
    assert follower.counters.connections >= 2


async def lose_one_and_its_repair(server: FakeServer) -> None:
    server.fate = lambda frame: "drop"
    await server.publish("lost")
    server.fate = lambda frame: "pass"
    connection = server.viewers[0]
    server.answer = lambda action: [] if connection in server.viewers else None


async def publish_steadily(server: FakeServer) -> None:
    while True:
        await server.publish("more")
        await asyncio.sleep(0.02)


async def test_server_that_owes_items_but_calls_itself_ready(server: FakeServer) -> None:
    server.answer = lambda action: [{"type": "ready", "seq": 1}] if len(server.actions) < 5 else None
    await server.publish("a")
    async with watch(server) as follower:
        await follower.until(1)
    assert follower.counters.connections == 2  # three fruitless answers end the first


async def test_cancelled_update_loses_nothing(server: FakeServer) -> None:
    server.by_reference = set(range(1, 41))
    await server.publish(*range(20))
    async with watch(server) as follower:
        for patience in [*[n / 1000 for n in range(12)], 5]:
            await server.publish(patience)
            try:
                async with asyncio.timeout(patience):
                    await follower.until(len(server.log))
            except TimeoutError:
                continue
    assert data(follower.state) == server.expected()


async def test_large_items_are_fetched(server: FakeServer) -> None:
    server.by_reference = {2}
    await server.publish("small", "x" * 100_000)
    async with watch(server) as follower:
        await follower.until_live()
    assert data(follower.state) == server.expected()
    assert follower.counters.references == 1
    assert follower.counters.bytes_received > 100_000
    assert follower.counters.largest_frame < 32 * 1024


async def test_superseded_large_items_are_not_fetched(server: FakeServer) -> None:
    server.by_reference = {2}
    await server.publish("newer", key="part/m/1", at=9)
    async with watch(server) as follower:
        await follower.until_live()
        await server.publish("older", key="part/m/1", at=1)
        await server.publish("end")
        await follower.until(3)
    assert follower.counters.references == 0
    assert data(follower.state) == server.expected()


async def test_reference_to_another_item_is_a_protocol_error(server: FakeServer) -> None:
    other = {"seq": 9, "at": 1, "key": "session", "type": "session", "href": f"/share/{SHARE}/items/1"}
    server.answer = lambda action: [{"type": "items", "after": 0, "seq": 9, "items": [other]}]
    await server.publish("one")
    async with watch(server) as follower:
        with pytest.raises(ProtocolError, match="another item"):
            await follower.until_live()


async def test_reference_to_another_server_is_a_protocol_error(server: FakeServer) -> None:
    server.answer = lambda action: [{"type": "snapshot", "seq": 9, "href": "http://127.0.0.1:9/share/x/items"}]
    async with watch(server) as follower:
        with pytest.raises(ProtocolError, match="another server"):
            await follower.until_live()


@pytest.mark.parametrize("lag", [0, 3])
async def test_large_gap_comes_as_a_document(server: FakeServer, lag: int) -> None:
    server.snapshot_over, server.document_lag = 10, lag
    await server.publish(*range(30))
    async with watch(server) as follower:
        await follower.until_live()
        assert follower.counters.snapshots == 1
        assert data(follower.state) == server.expected()
        await server.publish("live")
        await follower.until(31)


async def test_document_by_redirect() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/items"):
            return httpx.Response(302, headers={"location": "https://bucket.example/signed?x=1"})
        body: Body = {"schema": 1, "share": SHARE, "seq": 30, "items": server.log}
        return httpx.Response(200, json=body)

    async with FakeServer() as server, httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        server.snapshot_over = 10
        await server.publish(*range(30))
        async with watch(server, http=http) as follower:
            await follower.until_live()
        assert data(follower.state) == server.expected()
        assert not http.is_closed


async def test_unshare_while_watching(server: FakeServer) -> None:
    async with watch(server) as follower:
        await follower.until_live()
        await server.send(server.viewers[0], {"type": "gone", "share": SHARE})
        with pytest.raises(ShareGone) as caught:
            await follower.update()
        assert caught.value.code == "share_gone"
        with pytest.raises(ShareGone):
            await follower.update()


async def test_share_that_is_gone(server: FakeServer) -> None:
    server.gone = True
    async with watch(server) as follower:
        with pytest.raises(ShareGone):
            await follower.until_live()


@pytest.mark.parametrize("status", [{}, {"status": 404}])
async def test_unknown_share(server: FakeServer, status: Body) -> None:
    server.answer = lambda action: [{"type": "error", "code": "share_not_found", "message": "None.", **status}]
    async with watch(server) as follower:
        with pytest.raises(ShareNotFound):
            await follower.until_live()


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "contended", "message": "Again.", "status": 503},
        {"type": "error", "code": "never_heard_of", "message": "?"},
        {"message": "Internal server error", "connectionId": "c", "requestId": "r"},
    ],
)
async def test_passing_errors_are_retried(server: FakeServer, error: Body) -> None:
    server.answer = lambda action: [error] if len(server.actions) < 3 else None
    async with watch(server) as follower:
        await follower.until_live()
    assert follower.counters.connections == 3


async def test_refused_handshakes(server: FakeServer) -> None:
    server.handshake = [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS]
    async with watch(server) as follower:
        await follower.until_live()
    server.handshake = [HTTPStatus.GONE]
    async with watch(server) as follower:
        with pytest.raises(ShareGone):
            await follower.until_live()


async def test_gives_up_when_told_to(closed_port: int) -> None:
    backoff = Backoff(first=0.001, attempts=3)
    async with follow(f"http://127.0.0.1:{closed_port}", SHARE, backoff=backoff) as follower:
        with pytest.raises(ConnectionLost, match="3 attempts"):
            await follower.until_live()


async def test_failed_reference_is_retried_then_told(server: FakeServer) -> None:
    replies = iter([httpx.Response(503, text="<html>"), httpx.Response(404, json={"error": "share_not_found"})])
    server.by_reference = {1}
    await server.publish("large")
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(lambda request: next(replies))) as http,
        watch(server, http=http) as follower,
    ):
        with pytest.raises(ShareNotFound):
            await follower.until_live()


async def test_unknown_frames_are_ignored(server: FakeServer) -> None:
    server.answer = lambda action: [{"type": "tomorrow", "x": 1}, {"type": "ready", "seq": 0}]
    async with watch(server) as follower:
        await follower.until_live()


async def test_malformed_frames_end_it(server: FakeServer) -> None:
    server.answer = lambda action: [{"type": "items", "seq": 1}]
    async with watch(server) as follower:
        with pytest.raises(ProtocolError):
            await follower.until_live()


async def test_closed_follower_stays_closed(server: FakeServer) -> None:
    follower = watch(server)
    await follower.until_live()
    await follower.close()
    with pytest.raises(ConnectionLost, match="closed"):
        await follower.update()


@pytest.mark.parametrize("url", ["ftp://x", "example.com", "ws://example.com"])
def test_only_http_addresses(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        follow(url, SHARE)
