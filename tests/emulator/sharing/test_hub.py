"""Hubs: processes that hold sockets, beside functions and other hubs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.sealed_posts import POST_PATH, PostSeal
from opencode_cloud.kit.websocket_server import BACKLOG_BYTES
from opencode_cloud.sharing.models import Item, Mode, Record
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.hubs import HubPost, post_key
from tests.emulator.sharing.hubs import (
    HUB_SECRET,
    WAIT,
    HubProcess,
    close_code,
    frames_until,
    hubs_for,
    next_frame,
    part,
    texts,
)
from tests.emulator.sharing.plane import Environment, Plane, SharedSession
from tests.integration.publisher import new_session_id
from tests.metrics import metrics_of
from tests.waiting import until_async, until_awaited

GOING_AWAY, RESTART, TRY_AGAIN = 1001, 1012, 1013


@pytest.fixture
def hubs(plane: Plane, tmp_path: Path) -> Iterator[list[HubProcess]]:
    """Return two running hubs of one plane."""
    processes = [HubProcess(plane, tmp_path) for _ in range(2)]
    yield [process.start() for process in processes]
    for process in processes:
        process.stop()


@pytest.fixture
def hub(plane: Plane, tmp_path: Path) -> Iterator[HubProcess]:
    process = HubProcess(plane, tmp_path)
    yield process.start()
    process.stop()


@pytest.fixture
def function(plane: Plane) -> Environment:
    """Return an execution environment of a function that knows of hubs."""
    return Environment(plane, hubs=hubs_for)


@pytest.fixture
def share(function: Environment) -> SharedSession:
    return function.share(new_session_id())


def hub_rows(plane: Plane, share_id: str) -> list[str]:
    return [row["sk"]["S"].removeprefix("V#") for row in plane.rows(share_id, "V#http")]


async def test_a_publication_reaches_a_viewer(hub: HubProcess, share: SharedSession) -> None:
    async with hub.following(share.id) as viewer:
        assert await hub.publish(share.id, share.secret, part("1", "hello")) == 1
        assert await hub.publish(share.id, share.secret, part("2", "again")) == 2
        assert texts(await frames_until(viewer, 2)) == ["hello", "again"]


async def test_a_publication_over_a_socket_is_acknowledged(hub: HubProcess, share: SharedSession) -> None:
    async with hub.following(share.id) as viewer, hub.socket() as publisher:
        message = {"action": "sync", "share": share.id, "secret": share.secret, "items": [part("1", "hi")], "id": "p"}
        await publisher.send(json.dumps(message))
        assert await next_frame(publisher) == {"type": "ack", "id": "p", "seq": 1}
        assert texts(await frames_until(viewer, 1)) == ["hi"]


async def test_the_legacy_protocol_is_replayed_and_followed(hub: HubProcess, share: SharedSession) -> None:
    await hub.publish(share.id, share.secret, part("1", "before"))
    async with hub.socket(f"/share_poll?id={share.id}") as viewer:
        assert (await next_frame(viewer))["content"]["text"] == "before"
        content = {"id": "prt_2", "messageID": "msg_1", "type": "text", "text": "after"}
        body = {"sessionID": "ses_1", "secret": share.secret, "key": "session/part/ses_1/msg_1/prt_2"}
        answer = await hub.asked("POST", "/share_sync", {**body, "content": content})
        assert (answer.status, answer.body) == (200, {})
        assert (await next_frame(viewer))["content"]["text"] == "after"


async def test_a_legacy_replay_is_sent_as_fast_as_its_reader_reads(hub: HubProcess, share: SharedSession) -> None:
    text = "x" * 40_000
    count = 8 * BACKLOG_BYTES // len(text)
    await hub.publish(share.id, share.secret, *(part(str(n), text) for n in range(count)))
    async with hub.socket(f"/share_poll?id={share.id}", max_queue=1) as slow:
        slow.transport.pause_reading()
        async with hub.socket(f"/share_poll?id={share.id}") as fast:
            keys = {(await next_frame(fast))["key"] for _ in range(count)}
        slow.transport.resume_reading()
        assert {(await next_frame(slow))["key"] for _ in range(count)} == keys
    assert len(keys) == count


async def test_a_legacy_socket_of_an_unknown_share_is_refused(hub: HubProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with hub.socket("/share_poll?id=" + "A" * 22):
            pass
    assert refused.value.response.status_code == 404
    assert refused.value.response.headers["cache-control"] == "no-store"


async def test_only_the_cdn_is_answered(hub: HubProcess, share: SharedSession) -> None:
    answer = await asyncio.to_thread(hub.ask, "GET", f"/share/{share.id}.json", forwarded=False)
    assert (answer.status, answer.body["error"]) == (403, "forbidden")


async def test_a_post_that_this_deployment_did_not_seal_is_refused(hub: HubProcess) -> None:
    answer = await hub.asked("POST", "/internal/posts", b"x" * 200)
    assert (answer.status, answer.body["error"]) == (403, "post_refused")
    await asyncio.to_thread(hub.stop)
    assert metrics_of(hub.program.log.read_text())["RefusedPostCount"] == [1]


async def test_a_post_changes_what_open_pages_show_and_nothing_that_is_stored(
    plane: Plane, hub: HubProcess, share: SharedSession
) -> None:
    await hub.publish(share.id, share.secret, part("1", "true"))
    false = Item(key="part/msg_1/prt_2", type="part", data=b'{"text":"false"}', seq=2, at=1)
    record = Record(first=2, last=2, at=1, total=9, items=(false,))
    posts = [
        HubPost(kind="record", share_id=ShareId(share.id), first=2, record=record),
        HubPost(kind="deleted", share_id=ShareId(share.id)),
    ]
    before = plane.rows(share.id, "L#"), plane.rows(share.id, "META")
    async with hub.following(share.id, after=1) as viewer:
        seal = PostSeal(lambda: post_key(HUB_SECRET))
        for post in posts:
            answer = await hub.asked("POST", POST_PATH, seal.seal(msgspec.msgpack.encode(post)))
            assert answer.status == 200
        assert texts(await frames_until(viewer, 2)) == ["false"]
        assert (await next_frame(viewer))["type"] == "gone"
    assert (plane.rows(share.id, "L#"), plane.rows(share.id, "META")) == before
    assert (await hub.asked("GET", f"/share/{share.id}.json")).status == 200
    assert await asyncio.to_thread(share.environment.texts, share.id) == ["true"]


async def test_a_hub_is_one_viewer_while_it_has_sockets(plane: Plane, hub: HubProcess, share: SharedSession) -> None:
    async with hub.following(share.id), hub.following(share.id):
        assert hub_rows(plane, share.id) == [hub.address]
        assert len(plane.rows(share.id, "V#")) == 1
    await until_async(lambda: not plane.rows(share.id, "V#"))


async def test_a_function_s_commit_reaches_the_sockets_of_hubs(hubs: list[HubProcess], share: SharedSession) -> None:
    async with hubs[0].following(share.id) as first, hubs[1].following(share.id) as second:
        await asyncio.to_thread(share.sync, part("1", "from a function"))
        for viewer in (first, second):
            assert texts(await frames_until(viewer, 1)) == ["from a function"]


async def test_a_hub_s_commit_reaches_functions_viewers_and_other_hubs(
    hubs: list[HubProcess], function: Environment, share: SharedSession
) -> None:
    beside = function.follow(share.id)
    async with hubs[0].following(share.id) as first, hubs[1].following(share.id) as second:
        await hubs[0].publish(share.id, share.secret, part("1", "from a hub"))
        for viewer in (first, second):
            assert texts(await frames_until(viewer, 1)) == ["from a hub"]
        await until_async(lambda: texts(beside.frames) == ["from a hub"])


async def test_a_post_is_passed_on_by_any_hub(plane: Plane, hubs: list[HubProcess], share: SharedSession) -> None:
    relayed = Environment(plane, hubs=lambda store: hubs_for(store, relay=hubs[0].address))
    async with hubs[0].following(share.id) as first, hubs[1].following(share.id) as second:
        session = SharedSession(relayed, share.session_id, share.credentials)
        await asyncio.to_thread(session.sync, part("1", "relayed"))
        for viewer in (first, second):
            assert texts(await frames_until(viewer, 1)) == ["relayed"]


async def test_publications_of_several_writers_have_one_order(hubs: list[HubProcess], share: SharedSession) -> None:
    async with hubs[0].following(share.id) as viewer:
        work = [hubs[n % 2].publish(share.id, share.secret, part(str(n), str(n))) for n in range(20)]
        work += [asyncio.to_thread(share.sync, part(f"f{n}", f"f{n}")) for n in range(5)]
        numbers = await asyncio.gather(*work)
        assert sorted(numbers) == list(range(1, 26))
        await frames_until(viewer, 25)
    assert sorted(await asyncio.to_thread(share.environment.texts, share.id)) == sorted(
        [str(n) for n in range(20)] + [f"f{n}" for n in range(5)]
    )


async def test_a_dead_hub_loses_its_row(plane: Plane, hubs: list[HubProcess], share: SharedSession) -> None:
    async with hubs[1].following(share.id) as viewer:
        async with hubs[0].following(share.id) as lost:
            hubs[0].kill()
            assert await close_code(lost) is None
        assert sorted(hub_rows(plane, share.id)) == sorted([hubs[0].address, hubs[1].address])
        await asyncio.to_thread(share.sync, part("1", "still here"))
        assert texts(await frames_until(viewer, 1)) == ["still here"]
        await until_async(lambda: hub_rows(plane, share.id) == [hubs[1].address])


def test_a_row_that_no_hub_wrote_is_never_called(plane: Plane, share: SharedSession) -> None:
    address = "http://127.0.0.1:9"  # nothing listens there, so a call would find a dead hub
    row = {"pk": share.id, "sk": f"V#{address}", "protocol": "hub", "ticket": "0" * 64}
    written = {name: {"S": value} for name, value in row.items()}
    plane.emulator.client("dynamodb").put_item(TableName=plane.shares, Item=written)
    share.sync(part("1", "x"))
    assert hub_rows(plane, share.id) == [address]


async def test_an_unshare_ends_the_sockets_of_all_hubs(hubs: list[HubProcess], share: SharedSession) -> None:
    async with hubs[0].following(share.id) as first, hubs[1].following(share.id) as second:
        answer = await hubs[0].asked("DELETE", f"/api/share/{share.id}", {"secret": share.secret})
        assert answer.status == 200
        for viewer in (first, second):
            assert (await next_frame(viewer))["type"] == "gone"
            assert await close_code(viewer) == GOING_AWAY
    refused = await hubs[1].asked("POST", f"/api/share/{share.id}/sync", {"secret": share.secret, "data": [part("1")]})
    assert refused.status == 410


async def test_a_known_share_that_a_function_removes_is_gone_soon(
    hub: HubProcess, function: Environment, share: SharedSession
) -> None:
    await hub.publish(share.id, share.secret, part("1"))
    function.deletion.unshare(share.id, share.secret)
    body = {"secret": share.secret, "data": [part("1")]}

    async def is_gone() -> bool:
        return (await hub.asked("POST", f"/api/share/{share.id}/sync", body)).status == 410

    await until_awaited(is_gone)


async def test_a_share_that_is_removed_here_is_gone_at_once(hub: HubProcess, share: SharedSession) -> None:
    await hub.publish(share.id, share.secret, part("1"))
    assert (await hub.asked("DELETE", f"/api/share/{share.id}", {"secret": share.secret})).status == 200
    refused = await hub.asked("POST", f"/api/share/{share.id}/sync", {"secret": share.secret, "data": [part("1")]})
    assert refused.status == 410


async def test_a_share_that_was_claimed_elsewhere_takes_nothing_without_a_login(
    plane: Plane, hub: HubProcess, function: Environment, share: SharedSession
) -> None:
    await hub.publish(share.id, share.secret, part("1"))
    workspace = plane.people.workspace()
    ada = function.actor(plane.people.member(workspace), workspace)
    await asyncio.to_thread(share.sync, part("2"), actor=ada)
    refused = await hub.asked("POST", f"/api/share/{share.id}/sync", {"secret": share.secret, "data": [part("3")]})
    assert (refused.status, refused.body["error"]) == (403, "wrong_secret")


async def test_a_change_of_the_audience_closes_sockets_and_a_ticket_is_checked_again(
    plane: Plane, hub: HubProcess, function: Environment
) -> None:
    workspace = plane.people.workspace(share_mode="link")
    owner, reader = plane.people.member(workspace), plane.people.member(workspace)
    actor = function.actor(owner, workspace)
    owned = function.share(new_session_id(), actor)
    async with hub.following(owned.id) as viewer:
        function.change(owned.id, actor, mode=Mode.WORKSPACE)
        assert await close_code(viewer) == GOING_AWAY
    ticket = function.gate.admit(owned.id, function.row(owned.id), Visitor(reader.browser)).ticket()
    async with hub.following(owned.id, ticket=ticket) as viewer:
        await asyncio.to_thread(owned.sync, part("1", "for members"), actor=actor)
        assert texts(await frames_until(viewer, 1)) == ["for members"]
        plane.people.remove(reader, workspace)
        await hub.publish(owned.id, owned.secret, part("2", "not for you"))
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(WAIT):
                await viewer.recv()


async def test_a_stalled_reader_is_closed_and_the_others_are_served(hub: HubProcess, share: SharedSession) -> None:
    text = "x" * 30_000
    async with hub.following(share.id) as viewer, hub.following(share.id, max_queue=1) as stalled:
        stalled.transport.pause_reading()
        count = 4 * BACKLOG_BYTES // len(text) + 200  # more than the buffers of both systems hold
        for n in range(0, count, 8):
            await hub.publish(share.id, share.secret, *(part(str(m), text) for m in range(n, n + 8)))
            await frames_until(viewer, n + 8)
        stalled.transport.resume_reading()
        assert await close_code(stalled) == TRY_AGAIN


async def test_a_stopping_hub_sends_its_sockets_elsewhere(
    plane: Plane, hubs: list[HubProcess], share: SharedSession
) -> None:
    async with hubs[0].following(share.id) as viewer:
        await asyncio.to_thread(hubs[0].stop)
        assert await close_code(viewer) == RESTART
    assert hub_rows(plane, share.id) == []
    await hubs[1].publish(share.id, share.secret, part("1", "meanwhile"))
    async with hubs[1].socket() as viewer:
        await viewer.send(json.dumps({"action": "resume", "share": share.id, "after": 0}))
        assert texts(await frames_until(viewer, 1)) == ["meanwhile"]


async def test_a_killed_hub_loses_nothing_that_it_acknowledged(
    plane: Plane, hub: HubProcess, share: SharedSession
) -> None:
    acknowledged: list[str] = []

    async def publish(writer: int) -> None:
        for n in range(1000):
            name = f"{writer}_{n}"
            try:
                await hub.publish(share.id, share.secret, part(name, name))
            except (OSError, HTTPException, AssertionError):
                return
            acknowledged.append(name)

    writers = [asyncio.create_task(publish(writer)) for writer in range(8)]
    await until_async(lambda: len(acknowledged) > 40)
    hub.kill()
    await asyncio.gather(*writers)
    stored = await asyncio.to_thread(share.environment.texts, share.id)
    assert set(acknowledged) <= set(stored)


async def test_a_refused_publication_does_not_disturb_its_group(hub: HubProcess, share: SharedSession) -> None:
    path = f"/api/share/{share.id}/sync"
    bodies: list[Any] = [{"secret": share.secret, "data": [part(str(n), str(n))]} for n in range(12)]
    bodies[3:3] = [{"secret": "wrong", "data": [part("bad")]}, {"data": [part("bad")]}]
    answers = await asyncio.gather(*(hub.asked("POST", path, body) for body in bodies))
    assert [answer.status for answer in answers] == [200] * 3 + [403, 401] + [200] * 9
    assert sorted(answer.body["seq"] for answer in answers if answer.status == 200) == list(range(1, 13))


async def test_large_bodies_are_taken_and_larger_ones_refused(hub: HubProcess, share: SharedSession) -> None:
    items = [part(str(n), "y" * 1_000_000) for n in range(9)]
    assert await hub.publish(share.id, share.secret, *items) == 9
    answer = await hub.asked("POST", f"/api/share/{share.id}/sync", b"x" * (32 * 1024 * 1024 + 1))
    assert (answer.status, answer.body["error"]) == (413, "payload_too_large")


async def test_compression_is_used_where_a_client_asks_for_it(hub: HubProcess, share: SharedSession) -> None:
    async with hub.following(share.id, compression="deflate") as packed, hub.following(share.id) as plain:
        await hub.publish(share.id, share.secret, part("1", "z" * 5000), part("2", "short"))
        for viewer in (packed, plain):
            assert texts(await frames_until(viewer, 2)) == ["z" * 5000, "short"]
        await hub.publish(share.id, share.secret, part("3", "tiny"))
        assert texts(await frames_until(packed, 3)) == ["tiny"]


@pytest.mark.slow
async def test_a_share_that_ended_without_a_post_is_noticed(hub: HubProcess, plane: Plane) -> None:
    alone = Environment(plane)  # a function that knows no hubs
    share = alone.share(new_session_id())
    async with hub.following(share.id) as viewer:
        alone.deletion.unshare(ShareId(share.id), share.secret)
        async with asyncio.timeout(WAIT):
            assert json.loads(await viewer.recv())["type"] == "gone"
