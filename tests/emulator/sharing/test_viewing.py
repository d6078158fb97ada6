"""Viewing: a viewer that resumes from n gets every item after n, including concurrent commits (I2)."""

from __future__ import annotations

from typing import Any

import pytest

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit.errors import Conflict, Gone, NotFound, Unauthorized
from opencode_cloud.sharing.models import Mode, Protocol
from opencode_cloud.sharing.service import fan_out, viewing
from opencode_cloud.sharing.store import ShareStore
from tests.emulator.sharing.gateway import Socket
from tests.emulator.sharing.plane import Environment, SharedSession, incompressible
from tests.integration.publisher import message, part, session


def resume(cloud: Environment, share: SharedSession, after: int = 0, socket: Socket | None = None) -> Socket:
    socket = socket or cloud.plane.gateway.connect()
    cloud.viewing.resume(ConnectionId(socket.id), ShareId(share.id), after)
    return socket


def seqs(socket: Socket) -> list[int]:
    """Return the numbers of the items that a socket was sent, in order."""
    return [item["seq"] for frame in socket.frames for item in frame.get("items", [])]


def viewers(cloud: Environment, share: SharedSession) -> list[str]:
    return [viewer.connection_id for viewer in cloud.store.viewers(ShareId(share.id))]


class TestResuming:
    def test_sends_what_came_after_the_cursor_and_says_where_it_ends(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"), part("2"))
        share.sync(part("3"))
        socket = resume(cloud, share)
        assert seqs(socket) == [1, 2, 3]
        assert socket.frames[-1] == {"type": "ready", "seq": 3}

    def test_goes_on_within_a_batch(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"), part("2"), part("3"))
        share.sync(part("4"))
        socket = resume(cloud, share, 2)
        assert seqs(socket) == [3, 4]
        assert socket.frames[0]["after"] == 2

    def test_at_the_end_sends_no_items(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        assert resume(cloud, share, 1).frames == [{"type": "ready", "seq": 1}]

    @pytest.mark.parametrize("after", [2, 5000, 10**12, 10**30])
    def test_above_the_end_is_refused_and_follows_nothing(self, cloud: Environment, after: int) -> None:
        share = cloud.share()
        share.sync(part("1"))
        with pytest.raises(Conflict, match="above the end"):
            resume(cloud, share, after)
        assert viewers(cloud, share) == []

    def test_of_an_empty_log_has_one_cursor(self, cloud: Environment) -> None:
        share = cloud.share()
        assert resume(cloud, share).frames == [{"type": "ready", "seq": 0}]
        with pytest.raises(Conflict):
            resume(cloud, share, 1)

    def test_sends_of_each_key_the_last_arrival_and_covers_what_it_leaves_out(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("x", "later"), at=2000)
        share.sync(part("x", "earlier"), at=1000)
        socket = resume(cloud, share)
        (items, ready) = socket.frames
        assert [item["data"]["text"] for item in items["items"]] == ["later"]
        assert (items["after"], items["seq"], ready["seq"]) == (0, 2, 2)

    def test_and_following_leaves_no_gap(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        socket = resume(cloud, share)
        share.sync(part("2"))
        assert seqs(socket) == [1, 2]

    @pytest.mark.parametrize("moment", ["before the log is read", "after the log is read"])
    def test_misses_no_commit_of_that_moment(self, cloud: Environment, moment: str) -> None:
        share = cloud.share()
        share.sync(part("1"))
        elsewhere = Environment(cloud.plane)
        steer = elsewhere.steering.before if moment.startswith("before") else elsewhere.steering.after
        steer(ShareStore.page, lambda: share.sync(part("2")))
        socket = resume(elsewhere, share)
        assert set(seqs(socket)) == {1, 2}

    def test_again_sends_nothing_twice_that_the_cursor_covers(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"), part("2"))
        socket = resume(cloud, share)
        share.sync(part("3"))
        resume(cloud, share, 3, socket)
        assert seqs(socket) == [1, 2, 3]
        assert viewers(cloud, share) == [socket.id]

    def test_several_times_on_one_socket_gets_each_commit_once(self, cloud: Environment) -> None:
        share, socket = cloud.share(), cloud.plane.gateway.connect()
        for _ in range(3):
            resume(cloud, share, socket=socket)
        share.sync(part("1"))
        assert seqs(socket) == [1]
        assert viewers(cloud, share) == [socket.id]

    def test_of_two_shares_on_one_socket_the_removed_one_is_named(self, cloud: Environment) -> None:
        removed, stays, socket = cloud.share(), cloud.share(), cloud.plane.gateway.connect()
        for share in (removed, stays):
            resume(cloud, share, socket=socket)
        cloud.deletion.unshare(removed.id, removed.secret)
        assert [frame for frame in socket.frames if frame["type"] == "gone"] == [{"type": "gone", "share": removed.id}]

    def test_over_a_large_gap_points_to_the_state(self, cloud: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(viewing, "REPLAY_BYTES", 1000)
        share = cloud.share()
        share.sync(part("1", "x" * 2000))
        assert resume(cloud, share).frames == [{"type": "snapshot", "seq": 1, "href": f"/share/{share.id}/items"}]
        assert seqs(resume(cloud, share, 1)) == []

    def test_of_a_share_with_a_large_snapshot_reads_no_log(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(viewing, "REPLAY_BYTES", 1000)
        share = cloud.share()
        share.sync(part("1", "x" * 2000))
        cloud.snapshots.take(cloud.row(share.id))

        def fail() -> None:
            raise AssertionError("the log is read")

        cloud.steering.before(ShareStore.page, fail)
        socket = resume(cloud, share)
        assert socket.frames == [{"type": "snapshot", "seq": 1, "href": f"/share/{share.id}/items"}]
        share.sync(part("2"))
        assert seqs(socket) == [2], "the viewer follows"

    def test_of_a_share_with_a_large_snapshot_that_goes_meanwhile_leaves_no_viewer(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(viewing, "REPLAY_BYTES", 1000)
        share = cloud.share()
        share.sync(part("1", "x" * 2000))
        cloud.snapshots.take(cloud.row(share.id))
        elsewhere = Environment(cloud.plane)
        elsewhere.steering.after(ShareStore.share, lambda: cloud.deletion.unshare(share.id, share.secret))
        with pytest.raises(Gone):
            resume(elsewhere, share)
        assert viewers(cloud, share) == []

    def test_at_a_known_end_looks_for_no_record(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"), part("2"))
        cloud.snapshots.take(cloud.row(share.id))
        assert resume(cloud, share, 2).frames == [{"type": "ready", "seq": 2}]
        assert seqs(resume(cloud, share, 1)) == [2]
        with pytest.raises(Conflict):
            resume(cloud, share, 3)

    def test_over_a_gap_of_more_than_a_page_points_to_the_state_and_follows(self, cloud: Environment) -> None:
        share = cloud.share()
        for n in range(6):
            share.sync(part(f"{n}a", incompressible(250_000)), part(f"{n}b", incompressible(250_000)))
        cloud.store.set_snapshot(ShareId(share.id), None, cloud.store.head(ShareId(share.id), None).tail)
        socket = resume(cloud, share)
        (frame,) = socket.frames
        assert frame["type"] == "snapshot"
        share.sync(part("next"))
        assert seqs(socket) == [13]

    def test_of_what_never_was_or_has_gone_leaves_no_viewer(self, cloud: Environment) -> None:
        share = cloud.share()
        cloud.deletion.unshare(ShareId(share.id), share.secret)
        for share_id, error in ((share.id, Gone), ("A" * 22, NotFound)):
            with pytest.raises(error):
                cloud.viewing.resume(ConnectionId("connection"), ShareId(share_id), 0)
            assert cloud.store.viewers(ShareId(share_id)) == []

    def test_without_the_right_to_read_leaves_no_viewer_and_sends_nothing(self, cloud: Environment) -> None:
        people = cloud.plane.people
        workspace = people.workspace()
        actor = cloud.actor(people.member(workspace), workspace)
        share = cloud.share(actor=actor)
        cloud.change(share.id, actor, mode=Mode.WORKSPACE)
        share.sync(part("1"))
        socket = cloud.plane.gateway.connect()
        with pytest.raises(Unauthorized):
            cloud.viewing.resume(ConnectionId(socket.id), ShareId(share.id), 0)
        with pytest.raises(Unauthorized):
            cloud.viewing.ping(ShareId(share.id))
        assert viewers(cloud, share) == []
        share.sync(part("2"))
        assert socket.sent == []


class TestLeaving:
    def test_ends_the_pushes_of_every_share_that_was_followed(self, cloud: Environment) -> None:
        first, second = cloud.share(), cloud.share()
        socket = resume(cloud, first)
        resume(cloud, second, socket=socket)
        cloud.viewing.leave(ConnectionId(socket.id))
        for share in (first, second):
            share.sync(part("1"))
            assert viewers(cloud, share) == []
        assert seqs(socket) == []
        assert cloud.plane.emulator.rows(cloud.plane.connections) == []

    def test_leaves_other_viewers(self, cloud: Environment) -> None:
        share = cloud.share()
        stays, leaves = resume(cloud, share), resume(cloud, share)
        cloud.viewing.leave(ConnectionId(leaves.id))
        share.sync(part("1"))
        assert seqs(stays) == [1]

    def test_what_never_followed_is_no_error(self, cloud: Environment) -> None:
        cloud.viewing.leave(ConnectionId("never"))


def test_a_ping_tells_where_the_log_ends(cloud: Environment) -> None:
    share = cloud.share()
    assert cloud.viewing.ping(ShareId(share.id)) == b'{"type":"pong","seq":0}'
    share.sync(part("1"), part("2"))
    share.sync(part("3"))
    assert cloud.viewing.ping(ShareId(share.id)) == b'{"type":"pong","seq":3}'


class TestLegacyReplay:
    def replayed(self, cloud: Environment, share: SharedSession, socket: Socket) -> list[str]:
        cloud.viewing.poll(ConnectionId(socket.id), ShareId(share.id))
        for delivery in cloud.plane.delivered():
            cloud.deliveries.handle(delivery)
        return [frame["key"].split("/", 1)[1] for frame in socket.frames]

    def test_sends_the_session_then_messages_then_parts(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1", message="msg_a"), message("a"), {"type": "model", "data": {}})
        share.sync(session(share.session_id))
        keys = self.replayed(cloud, share, cloud.plane.gateway.connect())
        pseudonym = cloud.row(share.id).pseudonym
        assert keys == [f"info/{pseudonym}", f"message/{pseudonym}/msg_a", f"part/{pseudonym}/msg_a/prt_1"]

    def test_is_followed_by_every_later_commit(self, cloud: Environment) -> None:
        share = cloud.share()
        socket = cloud.plane.gateway.connect()
        self.replayed(cloud, share, socket)
        share.sync(part("1", "later"))
        assert [frame["content"]["text"] for frame in socket.frames] == ["later"]

    def test_sends_once_more_what_was_committed_meanwhile(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("x", "old"))
        elsewhere = share.from_elsewhere()
        cloud.steering.after(ShareStore.records, lambda: elsewhere.sync(part("x", "new")))
        socket = cloud.plane.gateway.connect()
        self.replayed(cloud, share, socket)
        assert [frame["content"]["text"] for frame in socket.frames][-1] == "new"

    def test_waits_for_a_socket_that_is_still_connecting(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        socket = cloud.plane.gateway.connect()
        socket.refusals.extend([404, 404])
        assert len(self.replayed(cloud, share, socket)) == 1

    def test_of_a_socket_that_never_comes_up_is_given_up(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fan_out, "CONNECT_SECONDS", 0.05)
        share = cloud.share()
        socket = cloud.plane.gateway.connect()
        socket.leave()
        assert self.replayed(cloud, share, socket) == []
        assert viewers(cloud, share) == []

    def test_of_a_share_that_went_before_the_socket_was_up_ends_it(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        socket = cloud.plane.gateway.connect()
        cloud.viewing.poll(ConnectionId(socket.id), ShareId(share.id))
        cloud.deletion.unshare(ShareId(share.id), share.secret)
        (delivery,) = cloud.plane.delivered()
        cloud.deliveries.handle(delivery)
        assert (socket.sent, socket.open) == ([], False)
        assert viewers(cloud, share) == []

    def test_is_refused_for_shares_that_are_not_for_everybody(self, cloud: Environment) -> None:
        people = cloud.plane.people
        workspace = people.workspace(share_mode="workspace")
        share = cloud.share(actor=cloud.actor(people.member(workspace), workspace))
        with pytest.raises(Unauthorized):
            cloud.viewing.poll(ConnectionId("connection"), ShareId(share.id))
        assert cloud.plane.delivered() == []

    def test_names_large_items_by_reference(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1", incompressible(400_000)))
        socket = cloud.plane.gateway.connect()
        self.replayed(cloud, share, socket)
        frame: dict[str, Any] = socket.frames[0]
        assert frame["href"] == f"/share/{share.id}/items/1"
        assert Protocol.POLL in [viewer.protocol for viewer in cloud.store.viewers(ShareId(share.id))]
