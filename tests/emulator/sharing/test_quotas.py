"""There is an end to what callers without an account store and hold, and a clear refusal says so."""

from __future__ import annotations

from typing import Any

import pytest

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import rate_counters
from opencode_cloud.kit.clock import DAY_SECONDS, now_ms
from opencode_cloud.kit.errors import PayloadTooLarge, ServiceError, TooManyRequests
from opencode_cloud.sharing.service import viewing
from opencode_cloud.sharing.service.quotas import SYNC_WINDOW_SECONDS, AnonymousLimits
from opencode_cloud.sharing.service.viewing import Viewing
from tests.emulator.sharing.plane import Environment, Plane, SharedSession, items_of
from tests.integration.publisher import part

NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def _one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_counters, "now_seconds", lambda: NOW)


def limited(plane: Plane, **limits: int) -> Environment:
    return Environment(plane, limits=AnonymousLimits(**limits))


def sync(cloud: Environment, share: SharedSession, *parts: Any, address: str = "192.0.2.1", **more: Any) -> int:
    items = items_of(*parts)
    return cloud.publishing.sync(ShareId(share.id), share.secret, items, now_ms(), address=address, **more).seq


def test_a_share_takes_so_many_items_a_day(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = limited(plane, share_items=3)
    share, other = cloud.share(), cloud.share()
    assert sync(cloud, share, part("1"), part("2"), part("3")) == 3
    with pytest.raises(PayloadTooLarge) as refused:
        sync(cloud, share, part("4"))
    assert refused.value.code == "share_full"
    assert cloud.store.end(ShareId(share.id))[1] == 3, "nothing of it was stored"
    assert sync(cloud, other, part("1")) == 1
    refusal = cloud.row(share.id).refusal
    assert refusal is not None
    assert (refusal.code, refusal.since) == ("share_full", refusal.last)
    assert cloud.row(other.id).refusal is None
    with pytest.raises(PayloadTooLarge):
        sync(cloud, share, part("4"))
    assert cloud.row(share.id).refusal == refusal, "one write in a minute"
    monkeypatch.setattr(rate_counters, "now_seconds", lambda: NOW + DAY_SECONDS)
    assert sync(cloud, share, part("4")) == 4


def test_bytes_count_before_compression(plane: Plane) -> None:
    cloud = limited(plane, share_bytes=10_000)
    share = cloud.share()
    sync(cloud, share, part("1", "x" * 9_000))
    with pytest.raises(PayloadTooLarge):
        sync(cloud, share, part("1", "x" * 9_000))


def test_all_shares_of_a_network_count_together(plane: Plane) -> None:
    cloud = limited(plane, network_items=2)
    sync(cloud, cloud.share(), part("1"), address="2001:db8::1")
    sync(cloud, cloud.share(), part("1"), address="2001:db8::2")
    with pytest.raises(TooManyRequests) as refused:
        sync(cloud, cloud.share(), part("1"), address="2001:db8::3")
    assert (refused.value.code, refused.value.retry_after) == ("stored_too_much", DAY_SECONDS - NOW % DAY_SECONDS)
    assert sync(cloud, cloud.share(), part("1"), address="192.0.2.9") == 1


def test_a_share_takes_so_many_syncs_a_second(plane: Plane) -> None:
    cloud = limited(plane, syncs_per_second=1)
    share = cloud.share()
    for number in range(SYNC_WINDOW_SECONDS):
        sync(cloud, share, part(str(number)))
    with pytest.raises(TooManyRequests) as refused:
        sync(cloud, share, part("more"))
    assert refused.value.code == "too_many_syncs"


def test_only_the_holder_of_the_secret_uses_a_shares_quota_up(plane: Plane) -> None:
    cloud = limited(plane, share_items=1)
    share = cloud.share()
    for _ in range(3):
        with pytest.raises(ServiceError) as refused:
            cloud.publishing.sync(ShareId(share.id), "a guess", items_of(part("1")), now_ms(), address="192.0.2.1")
        assert refused.value.code == "wrong_secret"
    assert sync(cloud, share, part("1")) == 1


def test_shares_with_an_owner_have_no_such_limits(plane: Plane) -> None:
    cloud = limited(plane, share_items=1, network_items=1, syncs_per_second=1)
    workspace = plane.people.workspace()
    share = cloud.share(actor=cloud.actor(plane.people.member(workspace), workspace))
    for number in range(SYNC_WINDOW_SECONDS + 2):
        assert sync(cloud, share, part(str(number))) == number + 1


def test_a_share_has_so_many_viewers(cloud: Environment) -> None:
    few = Viewing(cloud.store, cloud.connections, cloud.fan_out, cloud.tasks, cloud.gate, most_viewers=2)
    share = cloud.share()
    sockets = [cloud.plane.gateway.connect() for _ in range(3)]
    for socket in sockets[:2]:
        few.resume(ConnectionId(socket.id), ShareId(share.id), 0)
    for enter in (
        lambda: few.resume(ConnectionId(sockets[2].id), ShareId(share.id), 0),
        lambda: few.poll(ConnectionId(sockets[2].id), ShareId(share.id)),
    ):
        with pytest.raises(TooManyRequests) as refused:
            enter()
        assert refused.value.code == "too_many_viewers"
    assert len(cloud.store.viewers(ShareId(share.id))) == 2
    few.leave(ConnectionId(sockets[0].id))
    few.resume(ConnectionId(sockets[2].id), ShareId(share.id), 0)


def test_a_socket_follows_so_many_shares(cloud: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "MOST_SHARES", 2)
    shares = [cloud.share() for _ in range(3)]
    socket = cloud.plane.gateway.connect()
    for share in shares[:2]:
        cloud.viewing.resume(ConnectionId(socket.id), ShareId(share.id), 0)
    with pytest.raises(TooManyRequests) as refused:
        cloud.viewing.resume(ConnectionId(socket.id), ShareId(shares[2].id), 0)
    assert refused.value.code == "too_many_follows"
    assert cloud.store.viewers(ShareId(shares[2].id)) == []
    cloud.viewing.resume(ConnectionId(socket.id), ShareId(shares[0].id), 0)
