"""Fan-out: each commit reaches every viewer, by a push or by the viewer's own read of the log (invariant I2)."""

from __future__ import annotations

import pytest

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit.sockets import FRAME_BYTES
from opencode_cloud.sharing.models import Protocol, Viewer
from opencode_cloud.sharing.service import fan_out
from opencode_cloud.sharing.store import ShareStore
from tests.emulator.sharing.gateway import Socket
from tests.emulator.sharing.plane import Environment, incompressible
from tests.integration.publisher import message, part, session
from tests.metrics import written_metrics


def keys(socket: Socket) -> list[str]:
    """Return the keys of the items that a socket was sent, in order."""
    return [item["key"].rpartition("_")[2] for frame in socket.frames for item in frame.get("items", [])]


def test_a_commit_is_pushed_to_every_viewer_with_what_it_covers(cloud: Environment) -> None:
    share = cloud.share()
    viewers = [cloud.follow(share.id) for _ in range(3)]
    share.sync(part("1", "one"), part("2"), at=1234)
    for viewer in viewers:
        (frame,) = viewer.frames
        assert (frame["type"], frame["after"], frame["seq"]) == ("items", 0, 2)
        assert [(item["seq"], item["at"], item["data"]["text"]) for item in frame["items"]] == [
            (1, 1234, "one"),
            (2, 1234, ""),
        ]


def test_viewers_of_another_share_get_nothing(cloud: Environment) -> None:
    share, other = cloud.share(), cloud.share()
    viewer = cloud.follow(other.id)
    share.sync(part("1"))
    assert viewer.sent == []


def test_a_viewer_that_joins_between_read_and_commit_is_found_by_the_second_look(cloud: Environment) -> None:
    share = cloud.share()
    before = cloud.follow(share.id)
    joined: list[Socket] = []
    cloud.steering.before(ShareStore.append, lambda: joined.append(cloud.follow(share.id)))
    share.sync(part("1"))
    assert keys(joined[0]) == ["1"]
    assert keys(before) == ["1"], "once, though both looks have found it"


def test_the_second_look_is_taken_after_the_commit(cloud: Environment) -> None:
    share = cloud.share()
    joined: list[Socket] = []
    cloud.steering.after(ShareStore.append, lambda: joined.append(cloud.follow(share.id)))
    share.sync(part("1"))
    assert keys(joined[0]) == ["1"]


def test_a_writer_that_had_to_try_again_pushes_to_the_viewers_of_its_last_read(cloud: Environment) -> None:
    share = cloud.share()
    other = share.from_elsewhere()
    joined: list[Socket] = []

    def be_first_and_join() -> None:
        other.sync(part("other"))
        joined.append(cloud.follow(share.id))

    cloud.steering.before(ShareStore.append, be_first_and_join)
    share.sync(part("mine"))
    (frame,) = joined[0].frames
    assert (frame["after"], frame["seq"]) == (1, 2)


def test_more_viewers_than_one_invocation_serves_are_handed_over(
    cloud: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "INLINE_VIEWERS", 2)
    share = cloud.share()
    viewers = [cloud.follow(share.id) for _ in range(3)]
    late: list[Socket] = []
    cloud.steering.after(ShareStore.append, lambda: late.append(cloud.follow(share.id)))
    share.sync(part("1"), part("2"))
    assert [viewer.sent for viewer in viewers] == [[], [], []]
    assert keys(late[0]) == ["1", "2"], "one who joined since is served here"
    (delivery,) = cloud.plane.delivered()
    assert (delivery["task"], delivery["share_id"], delivery["seq"]) == ("push", share.id, 1)
    Environment(cloud.plane).deliveries.handle(delivery)
    assert [keys(viewer) for viewer in viewers] == [["1", "2"]] * 3


def test_a_delivery_serves_so_many_viewers_at_most(cloud: Environment) -> None:
    share = cloud.share()
    cloud.tasks.push(ShareId(share.id), 7, [Viewer(ConnectionId(f"connection-{n}"), Protocol.LIVE) for n in range(450)])
    assert sorted(len(delivery["viewers"]) for delivery in cloud.plane.delivered()) == [50, 200, 200]
    assert {delivery["seq"] for delivery in cloud.plane.delivered()} == {7}


def test_a_delivery_of_a_share_that_went_pushes_nothing(cloud: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "INLINE_VIEWERS", 0)
    share = cloud.share()
    viewer = cloud.follow(share.id)
    share.sync(part("1"))
    (delivery,) = cloud.plane.delivered()
    cloud.deletion.unshare(ShareId(share.id), share.secret)
    Environment(cloud.plane).deliveries.handle(delivery)
    assert keys(viewer) == []


def test_a_viewer_that_has_left_is_forgotten(cloud: Environment) -> None:
    share = cloud.share()
    left, stays = cloud.follow(share.id), cloud.follow(share.id)
    left.leave()
    share.sync(part("1"))
    assert [viewer.connection_id for viewer in cloud.store.viewers(ShareId(share.id))] == [stays.id]
    assert keys(stays) == ["1"]


def test_a_post_that_the_gateway_throttles_is_tried_again(cloud: Environment) -> None:
    share = cloud.share()
    viewer = cloud.follow(share.id)
    viewer.refusals.extend([429, 503])
    share.sync(part("1"))
    assert keys(viewer) == ["1"]


@pytest.mark.parametrize("refusals", [[403], [500, 500, 500]])
def test_a_post_that_fails_neither_fails_the_commit_nor_forgets_the_viewer(
    cloud: Environment, refusals: list[int]
) -> None:
    share = cloud.share()
    viewer = cloud.follow(share.id)
    viewer.refusals.extend(refusals)
    assert share.sync(part("1")) == 1
    assert viewer.sent == []
    assert share.sync(part("2")) == 2
    (frame,) = viewer.frames
    assert (frame["after"], frame["seq"]) == (1, 2), "by which the viewer sees that something is missing"


def test_no_frame_is_larger_than_the_gateway_takes_and_together_they_leave_no_gap(cloud: Environment) -> None:
    share = cloud.share()
    viewer = cloud.follow(share.id)
    share.sync(*[part(str(n), incompressible(9000)) for n in range(20)], part("huge", incompressible(40_000)))
    assert len(viewer.sent) > 5
    assert all(len(frame) <= FRAME_BYTES for frame in viewer.sent)
    ends = [0, *(frame["seq"] for frame in viewer.frames)]
    assert [frame["after"] for frame in viewer.frames] == ends[:-1]
    assert ends[-1] == 21
    *_, huge = [item for frame in viewer.frames for item in frame["items"]]
    assert huge["href"] == f"/share/{share.id}/items/21"
    assert "data" not in huge


class TestLegacyViewers:
    def test_get_one_frame_for_each_item_that_their_protocol_knows(self, cloud: Environment) -> None:
        share = cloud.share()
        viewer = cloud.follow(share.id, Protocol.POLL)
        share.sync(session(share.session_id), message("1"), part("1", "one"), {"type": "model", "data": {}})
        kinds = [frame["key"].split("/")[1] for frame in viewer.frames]
        assert kinds == ["info", "message", "part"]
        assert share.session_id not in str(viewer.sent)

    def test_are_not_sent_what_a_later_arrival_has_replaced_before(self, cloud: Environment) -> None:
        share = cloud.share()
        poll, live = cloud.follow(share.id, Protocol.POLL), cloud.follow(share.id)
        share.sync(part("x", "later"), at=2000)
        share.sync(part("x", "earlier"), part("y", "other"), at=1000)
        assert [frame["content"]["text"] for frame in poll.frames] == ["later", "other"]
        assert keys(live) == ["x", "x", "y"], "the live protocol's viewers decide by themselves"

    def test_are_not_sent_what_another_environment_has_replaced_meanwhile(self, cloud: Environment) -> None:
        share = cloud.share()
        other = share.from_elsewhere()
        poll = cloud.follow(share.id, Protocol.POLL)
        cloud.steering.before(ShareStore.append, lambda: other.sync(part("x", "later"), at=2000))
        share.sync(part("x", "earlier"), at=1000)
        assert [frame["content"]["text"] for frame in poll.frames] == ["later"]


def test_a_socket_that_cannot_be_posted_to_is_counted(cloud: Environment) -> None:
    share = cloud.share()
    viewer = cloud.follow(share.id)
    viewer.refusals.extend([500] * 20)
    with written_metrics() as metrics:
        share.sync(part("1"))
    assert metrics["FailedPostCount"] == [1]
