"""Commits that need no read before their put, since the share was read within a second."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import DynamoDB
from opencode_cloud.kit.errors import Forbidden, Gone
from opencode_cloud.sharing.models import Mode
from opencode_cloud.sharing.service import tails
from opencode_cloud.sharing.store import ShareStore
from tests.emulator.sharing.gateway import Socket
from tests.emulator.sharing.plane import Environment, Plane, SharedSession
from tests.integration.publisher import part


def numbers(cloud: Environment, share: SharedSession) -> list[int]:
    return [item.seq for record in cloud.store.records(ShareId(share.id), 0) for item in record.items]


def refuse_reads(cloud: Environment) -> None:
    """Fail at the next read of a log's head."""

    def fail() -> None:
        raise AssertionError("the log was read")

    cloud.steering.before(ShareStore.head, fail)


@pytest.fixture
def share(cloud: Environment) -> SharedSession:
    """Return a share that this environment has just written."""
    share = cloud.share()
    share.sync(part("1"))
    return share


def test_the_next_commit_puts_its_record_at_once(cloud: Environment, share: SharedSession) -> None:
    refuse_reads(cloud)
    assert [share.sync(part(each)) for each in "23"] == [2, 3]


def test_after_a_second_the_log_is_read(cloud: Environment, share: SharedSession) -> None:
    time = [0.0]
    cloud.publishing._tails = tails.Tails(clock=lambda: time[0])
    share.sync(part("2"))
    time[0] += tails.KNOWN_SECONDS + 0.01
    refuse_reads(cloud)
    with pytest.raises(AssertionError):
        share.sync(part("3"))


def test_another_writer_s_records_are_found_by_the_put(cloud: Environment, share: SharedSession) -> None:
    share.from_elsewhere().sync(part("2"), part("3"))
    assert share.sync(part("4")) == 4
    assert numbers(cloud, share) == [1, 2, 3, 4]


def test_an_empty_batch_tells_the_present_end(share: SharedSession) -> None:
    share.from_elsewhere().sync(part("2"))
    assert share.sync() == 2
    assert share.from_elsewhere().sync() == 2, "a process that has not written the share yet"


def test_a_viewer_that_has_joined_elsewhere_is_found_by_the_read_after_the_put(
    cloud: Environment, share: SharedSession
) -> None:
    viewer = Environment(cloud.plane).follow(share.id)
    before = len(viewer.frames)
    refuse_reads(cloud)
    share.sync(part("2"))
    assert [(frame["after"], frame["seq"]) for frame in viewer.frames[before:]] == [(1, 2)]


def test_a_share_that_was_removed_elsewhere_takes_nothing(cloud: Environment, share: SharedSession) -> None:
    Environment(cloud.plane).deletion.unshare(ShareId(share.id), share.secret)
    with pytest.raises(Gone):
        share.sync(part("2"))
    with pytest.raises(Gone):
        share.sync(part("3"))


def test_a_share_whose_rows_are_deleted_takes_nothing(cloud: Environment, share: SharedSession) -> None:
    elsewhere = Environment(cloud.plane)
    elsewhere.deletion.unshare(ShareId(share.id), share.secret)
    elsewhere.deletion.purge(ShareId(share.id), 1)
    with pytest.raises(Gone):
        share.sync(part("2"))


def test_a_secret_that_was_replaced_elsewhere_is_refused_at_once(cloud: Environment, share: SharedSession) -> None:
    people = cloud.plane.people
    workspace = people.workspace()
    ada = cloud.actor(people.member(workspace), workspace)
    share.sync(part("2"), actor=ada)
    Environment(cloud.plane).share(share.session_id, ada)
    with pytest.raises(Forbidden):
        share.sync(part("3"), actor=ada)


def test_a_share_that_was_claimed_elsewhere_takes_nothing_without_a_login(
    cloud: Environment, share: SharedSession
) -> None:
    people = cloud.plane.people
    workspace = people.workspace()
    ada = cloud.actor(people.member(workspace), workspace)
    share.from_elsewhere().sync(part("2", "Ada's"), actor=ada)
    with pytest.raises(Forbidden) as refused:
        share.sync(part("3"))
    assert refused.value.code == "wrong_secret"
    assert share.sync(part("3"), actor=ada) == 3


def test_a_share_that_was_claimed_and_shared_again_elsewhere_takes_nothing_by_the_old_secret(
    cloud: Environment, share: SharedSession
) -> None:
    people = cloud.plane.people
    workspace = people.workspace()
    ada = cloud.actor(people.member(workspace), workspace)
    elsewhere = share.from_elsewhere()
    elsewhere.sync(part("2"), actor=ada)
    elsewhere.environment.share(share.session_id, ada)
    with pytest.raises(Forbidden):
        share.sync(part("3"))
    assert numbers(cloud, share) == [1, 2]


def test_a_secret_that_was_given_elsewhere_counts_at_once(cloud: Environment, share: SharedSession) -> None:
    people = cloud.plane.people
    workspace = people.workspace()
    ada = cloud.actor(people.member(workspace), workspace)
    elsewhere = share.from_elsewhere()
    elsewhere.sync(part("2"), actor=ada)
    again = elsewhere.environment.share(share.session_id, ada)
    assert again.secret != share.secret
    here = replace(again, environment=cloud)
    assert here.sync(part("3")) == 3


def test_a_share_that_was_prolonged_elsewhere_is_taken_at_once(cloud: Environment) -> None:
    people = cloud.plane.people
    workspace = people.workspace()
    ada = cloud.actor(people.member(workspace), workspace)
    share = cloud.share(actor=ada)
    share.sync(part("1"), actor=ada)
    known = cloud.publishing._tails.known(ShareId(share.id))
    assert known is not None
    # As if its end had passed since it was prolonged.
    outdated = msgspec.structs.replace(known.share, expires_at=now_seconds() - 1)
    cloud.publishing._tails.know(outdated, known.viewers, known.read_at)
    assert share.sync(part("2"), actor=ada) == 2


def test_an_empty_batch_claims_nothing(cloud: Environment, share: SharedSession) -> None:
    """A claim without a record would be unknown to other environments for a second."""
    people = cloud.plane.people
    workspace = people.workspace()
    assert share.from_elsewhere().sync(actor=cloud.actor(people.member(workspace), workspace)) == 1
    assert cloud.row(share.id).ownership is None


def test_a_viewer_that_has_lost_access_elsewhere_sees_nothing_more(cloud: Environment) -> None:
    people = cloud.plane.people
    workspace = people.workspace()
    ada = cloud.actor(people.member(workspace), workspace)
    share = cloud.share(actor=ada)
    share.sync(part("1"), actor=ada)
    viewer = cloud.follow(share.id)
    share.sync(part("2"), actor=ada)
    seen = len(viewer.frames)
    Environment(cloud.plane).change(share.id, ada, mode=Mode.WORKSPACE)
    share.sync(part("3"), actor=ada)
    assert (len(viewer.frames), viewer.open) == (seen, False)


def test_a_viewer_that_joins_after_the_audience_was_narrowed_is_judged_by_the_new_one(cloud: Environment) -> None:
    people = cloud.plane.people
    workspace = people.workspace()
    ada = cloud.actor(people.member(workspace), workspace)
    share = cloud.share(actor=ada)
    cloud.change(share.id, ada, mode=Mode.LINK)
    share.sync(part("1"), actor=ada)
    Environment(cloud.plane).change(share.id, ada, mode=Mode.WORKSPACE)
    stranger = cloud.follow(share.id)  # its row is stored before it is refused
    share.sync(part("2"), actor=ada)
    assert (stranger.frames, stranger.open) == ([], False)


def test_a_record_whose_answer_was_lost_is_not_committed_twice(
    cloud: Environment, share: SharedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = DynamoDB._send
    lost = deque(["PutItem", "PutItem"])

    def lose(client: DynamoDB, operation: str, body: bytes) -> tuple[int, bytes, str]:
        answer = send(client, operation, body)
        if lost and operation == lost[0]:
            lost.popleft()
            raise AwsUnreachable("the answer is lost")
        return answer

    monkeypatch.setattr(DynamoDB, "_send", lose)
    assert share.sync(part("2")) == 2
    assert not lost
    assert share.sync(part("3", "x" * 2_000_000)) == 3
    assert numbers(cloud, share) == [1, 2, 3]


class Scene:
    """Two environments that write one share, and viewers that come and go; a clock that the test sets."""

    def __init__(self, plane: Plane) -> None:
        self.time = 0.0
        first = Environment(plane)
        self.share = first.share()
        self.writers = [self.share, self.share.from_elsewhere()]
        for writer in self.writers:
            writer.environment.publishing._tails = tails.Tails(clock=lambda: self.time)
        self.viewers: list[tuple[int, Socket]] = []
        """Viewers, each with the number of items at the time it joined."""
        self.count = 0

    def run(self, step: str) -> None:
        match step:
            case "first" | "second":
                self.count += 1
                self.writers[step == "second"].sync(part(str(self.count)))
            case "join":
                self.viewers.append((self.count, self.share.environment.follow(self.share.id)))
            case "leave":
                for _, viewer in self.viewers[:1]:
                    viewer.leave()
            case _:
                self.time += 0.7

    def gaps(self) -> list[Any]:
        """Return what an open viewer has not seen."""
        found: list[Any] = []
        for joined_at, viewer in self.viewers:
            ends = [joined_at, *(frame["seq"] for frame in viewer.frames if frame["type"] == "items")]
            begins = [frame["after"] for frame in viewer.frames if frame["type"] == "items"]
            if begins != ends[:-1] or (viewer.open and ends[-1] != self.count):
                found.append(viewer.frames)
        return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["first", "second", "join", "leave", "wait"]), max_size=12))
def test_no_order_of_writers_viewers_and_pauses_leaves_a_gap(plane: Plane, steps: list[str]) -> None:
    scene = Scene(plane)
    for step in steps:
        scene.run(step)
    assert numbers(scene.share.environment, scene.share) == list(range(1, scene.count + 1))
    assert scene.gaps() == []
