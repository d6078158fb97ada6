"""A share has a limit of viewers. It holds under concurrency and after crashes. A join does not read all viewers."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import TooManyRequests
from opencode_cloud.sharing.models import Protocol, Viewer, ViewerCount
from opencode_cloud.sharing.service import viewer_limit
from opencode_cloud.sharing.service.viewer_limit import FRESH_SECONDS, SAMPLE
from opencode_cloud.sharing.service.viewing import Viewing
from opencode_cloud.sharing.store import ShareStore, shares
from tests.emulator.sharing.plane import Environment, Plane, SharedSession

THREADS = 8


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_limit, "random_fraction", random.Random(11).random)


def limited(cloud: Environment, most: int) -> Viewing:
    return Viewing(cloud.store, cloud.connections, cloud.fan_out, cloud.tasks, cloud.gate, most_viewers=most)


def join(viewing: Viewing, share: SharedSession, connection: str) -> bool:
    """Join as a new viewer; return False if that is refused."""
    try:
        viewing.resume(ConnectionId(connection), share.id, 0)
    except TooManyRequests as refused:
        if refused.code != "too_many_viewers":
            raise
        return False
    return True


def fill(cloud: Environment, share: SharedSession, count: int, name: str = "other") -> None:
    """Store the rows of viewers whose functions did nothing else."""
    for number in range(count):
        cloud.store.add_viewer(share.id, Viewer(ConnectionId(f"{name}{number}"), Protocol.LIVE))


def watching(cloud: Environment, share: SharedSession) -> int:
    return cloud.store.count_viewers(share.id).viewers


def sockets(cloud: Environment, count: int) -> list[str]:
    return [cloud.plane.gateway.connect().id for _ in range(count)]


def test_viewers_who_join_at_once_exceed_the_limit_by_little(plane: Plane) -> None:
    most, everyone = SAMPLE + 10, Environment(plane)
    share = everyone.share()
    crowd = [limited(Environment(plane), most) for _ in range(THREADS)]
    connections = sockets(everyone, 2 * most)
    with ThreadPoolExecutor(THREADS) as pool:
        joined = sum(
            pool.map(
                lambda number: sum(join(crowd[number], share, each) for each in connections[number::THREADS]),
                range(THREADS),
            )
        )
    assert most - THREADS <= joined <= most + most // 4
    assert watching(everyone, share) == joined, "a refused viewer leaves no row"
    assert not all(join(crowd[0], share, connection) for connection in sockets(everyone, THREADS + 1))


def test_a_join_reads_few_rows_of_a_large_audience(cloud: Environment) -> None:
    share, viewing = cloud.share(), limited(cloud, 10_000)
    audience, joins = 8 * SAMPLE, 60
    fill(cloud, share, audience)
    counts: list[None] = []
    cloud.steering.before(ShareStore.count_viewers, lambda: counts.append(None), times=joins)
    assert all(join(viewing, share, connection) for connection in sockets(cloud, joins))
    assert 1 <= len(counts) <= joins // 3, "an eighth of the joins is expected to count"
    last = cloud.row(share.id).viewer_count
    assert last is not None
    assert audience < last.viewers <= audience + joins


def test_a_small_audience_is_counted_without_a_write(cloud: Environment) -> None:
    share, viewing = cloud.share(), limited(cloud, 2)
    first, second, third = sockets(cloud, 3)
    assert [join(viewing, share, connection) for connection in (first, second, third)] == [True, True, False]
    viewing.leave(ConnectionId(first))
    assert join(viewing, share, third)
    assert cloud.row(share.id).viewer_count is None


@pytest.mark.parametrize("audience", [2, SAMPLE + 5])
def test_a_viewer_who_resumes_again_is_not_refused(cloud: Environment, audience: int) -> None:
    share, viewing = cloud.share(), limited(cloud, audience + 1)
    fill(cloud, share, audience)
    present, late = sockets(cloud, 2)
    assert join(viewing, share, present)
    fill(cloud, share, 3, "beyond the limit")
    assert not join(viewing, share, late)
    assert join(viewing, share, present)


@pytest.mark.parametrize("audience", [3, SAMPLE + 3])
def test_viewers_whose_disconnect_was_lost_count_until_their_rows_expire(
    cloud: Environment, monkeypatch: pytest.MonkeyPatch, audience: int
) -> None:
    share, viewing = cloud.share(), limited(cloud, audience)
    with monkeypatch.context() as past:
        past.setattr(shares, "now_seconds", lambda: now_seconds() - shares.VIEWER_SECONDS)
        fill(cloud, share, audience)
    assert join(viewing, share, sockets(cloud, 1)[0]), "DynamoDB deletes expired rows late"
    fill(cloud, share, audience, "alive")
    assert not join(viewing, share, sockets(cloud, 1)[0])


def test_a_refusal_rests_on_a_recent_count(cloud: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    share, audience = cloud.share(), SAMPLE + 5
    viewing = limited(cloud, 10 * audience)
    fill(cloud, share, audience)
    full = ViewerCount(viewers=10 * audience, rows=100 * audience, at=now_seconds())
    cloud.store.record_viewer_count(share.id, full)
    monkeypatch.setattr(viewer_limit, "random_fraction", lambda: 0.999)
    assert not join(viewing, share, sockets(cloud, 1)[0]), "the others have left in the last seconds"
    monkeypatch.setattr(viewer_limit, "now_seconds", lambda: full.at + FRESH_SECONDS)
    assert join(viewing, share, sockets(cloud, 1)[0])
    last = cloud.row(share.id).viewer_count
    assert last is not None
    assert last.viewers == audience + 1


def test_a_removed_share_gets_no_count(cloud: Environment) -> None:
    share = cloud.share()
    cloud.deletion.unshare(share.id, share.secret)
    cloud.store.record_viewer_count(ShareId(share.id), ViewerCount(viewers=1, rows=1, at=now_seconds()))
    assert cloud.row(share.id).viewer_count is None
    unknown = ShareId("A" * 22)
    cloud.store.record_viewer_count(unknown, ViewerCount(viewers=1, rows=1, at=now_seconds()))
    assert cloud.store.share(unknown) is None
