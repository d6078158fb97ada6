"""Rows that stand for hubs: signed, counted where they are not, and deleted when a hub stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit import log
from opencode_cloud.kit.dynamodb import WRITES_AT_ONCE
from opencode_cloud.kit.dynamodb.client import DynamoDB
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.sharing.hub.followers import Followers
from opencode_cloud.sharing.hub.store import HubShareStore
from opencode_cloud.sharing.models import Protocol, Viewer
from opencode_cloud.sharing.service.hubs import Hubs
from opencode_cloud.sharing.store import ObjectStore
from tests.unit.aws import Cloud

ADDRESS = "http://10.0.0.1:8080"
SHARE = ShareId("shr_1")


class Posts:
    """A poster that sends nothing."""

    def __init__(self, outcome: str = "sent") -> None:
        self.outcome = outcome
        self.addresses: list[str] = []

    def post(self, address: str, content: bytes) -> str:
        self.addresses.append(address)
        return self.outcome


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Return what is counted, by the name of the metric."""
    sums: dict[str, float] = {}
    monkeypatch.setattr(log, "count", lambda name, value=1: sums.update({name: sums.get(name, 0) + value}))
    return sums


def hubs(posts: Posts, secret: str = "secret") -> Hubs:
    return Hubs(None, cast("Any", posts), lambda: secret)


def test_a_hub_that_signed_its_address_is_told(counted: dict[str, float]) -> None:
    posts = Posts()
    hubs(posts).deleted(SHARE, [hubs(posts).viewer(SHARE, ADDRESS)])
    assert posts.addresses == [ADDRESS]
    assert counted == {}


@pytest.mark.parametrize(
    "forge",
    [
        lambda row: Viewer(row.connection_id, row.protocol, "0" * 64),
        lambda row: Viewer(ConnectionId("http://10.0.0.9"), row.protocol, row.ticket),
        lambda _: hubs(Posts()).viewer(ShareId("another"), ADDRESS),
    ],
    ids=["no signature", "another address", "of another share"],
)
def test_an_address_without_a_valid_signature_is_not_called_and_counted(
    counted: dict[str, float], forge: Callable[[Viewer], Viewer]
) -> None:
    posts = Posts()
    hubs(posts).deleted(SHARE, [forge(hubs(posts).viewer(SHARE, ADDRESS))])
    assert posts.addresses == []
    assert counted == {"ForgedHubCount": 1}


def test_an_address_that_was_signed_with_another_secret_is_not_called(counted: dict[str, float]) -> None:
    posts = Posts()
    hubs(posts).deleted(SHARE, [hubs(posts, "the secret before").viewer(SHARE, ADDRESS)])
    assert posts.addresses == []
    assert counted == {"ForgedHubCount": 1}


def test_a_hub_that_cannot_be_reached_is_counted_as_dead(counted: dict[str, float]) -> None:
    posts = Posts("unreachable")
    hubs(posts).deleted(SHARE, [hubs(posts).viewer(SHARE, ADDRESS)])
    assert counted == {"DeadHubCount": 1}


@pytest.fixture
def store(cloud: Cloud) -> Iterator[HubShareStore]:
    """Return the store of a hub with one socket, which follows more shares than one batch has writes."""
    followers = Followers()
    objects = ObjectStore(cloud.bucket("shares", versioned=True))
    with ThreadPoolExecutor(1) as threads:
        made = HubShareStore(cloud.table("shares"), objects, followers, ADDRESS, threads)
        made.sign_with(hubs(Posts()))
        socket = followers.add(cast("Any", object()))
        for n in range(2 * WRITES_AT_ONCE + 1):
            made.add_viewer(ShareId(f"shr_{n}"), Viewer(socket, Protocol.LIVE))
        yield made


def _failing(monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool]) -> list[str]:
    """Have calls of DynamoDB fail by their number. Return the operations of all calls."""
    operations: list[str] = []
    call = DynamoDB.call

    def called(client: DynamoDB, operation: str, request: Any) -> Any:
        operations.append(operation)
        if fails(len(operations)):
            raise Unavailable("store_unavailable", "Try again.")
        return call(client, operation, request)

    monkeypatch.setattr(DynamoDB, "call", called)
    return operations


def test_a_stopping_hub_deletes_its_rows_in_batches(
    cloud: Cloud, store: HubShareStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(cloud.rows("shares")) == 2 * WRITES_AT_ONCE + 1
    operations = _failing(monkeypatch, lambda _: False)
    store.keep_rows()
    for n in range(2 * WRITES_AT_ONCE + 1):
        store.remove_viewer(ShareId(f"shr_{n}"), ConnectionId("hub/1"))
    assert operations == []
    store.resign()
    assert operations == ["BatchWriteItem"] * 3
    assert cloud.rows("shares") == []


def test_rows_that_a_stopping_hub_leaves_are_counted_and_the_others_are_deleted(
    cloud: Cloud, store: HubShareStore, monkeypatch: pytest.MonkeyPatch, counted: dict[str, float]
) -> None:
    _failing(monkeypatch, lambda number: number == 1)
    store.resign()
    left = len(cloud.rows("shares"))
    assert 0 < left <= WRITES_AT_ONCE
    assert counted == {"LeftHubRowCount": left}


def test_a_hub_whose_first_socket_follows_a_share_reads_it_again(store: HubShareStore) -> None:
    forgotten: list[ShareId] = []
    store.tell_changes(forgotten.append)
    for _ in range(2):
        socket = store._followers.add(cast("Any", object()))
        store.add_viewer(ShareId("shr_new"), Viewer(socket, Protocol.LIVE))
    assert forgotten == ["shr_new"]
