"""Snapshots: the object holds the fold of the log, for every writer and at any time."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import msgspec
import pytest

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.content_codings import Coding, unpack
from opencode_cloud.kit.errors import Gone
from opencode_cloud.sharing.models import Position, Snapshot
from opencode_cloud.sharing.service import reading, snapshots
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.reading import Redirect, ShareDocument
from opencode_cloud.sharing.service.snapshots import ZSTD_SUFFIX
from opencode_cloud.sharing.store import ObjectStore, ShareStore
from opencode_cloud.sharing.stream import SharingStream
from tests.emulator.sharing.plane import Environment, SharedSession, document_of, incompressible, texts_of
from tests.integration.publisher import part
from tests.waiting import PATIENCE


def take(cloud: Environment, share: SharedSession) -> Snapshot:
    return cloud.snapshots.take(cloud.row(share.id))


def end(cloud: Environment, share: SharedSession) -> Position:
    return cloud.store.head(ShareId(share.id), None).tail


def folded(cloud: Environment, share: SharedSession) -> tuple[list[str], int]:
    fold, seq = cloud.snapshots.fold(cloud.row(share.id))
    return texts_of(fold.items()), seq


class TestTaking:
    def test_a_snapshot_and_the_tail_behind_it_are_the_state(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("x", "1"), part("y", "1"), at=1000)
        share.sync(part("x", "2"), at=2000)
        assert take(cloud, share).seq == 3
        share.sync(part("y", "late"), part("z", "3"), at=500)
        assert folded(Environment(cloud.plane), share) == (["1", "2", "3"], 5)

    def test_readers_do_not_need_the_log_before_it(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1", "one"))
        take(cloud, share)
        for row in cloud.plane.rows(share.id, "L#"):
            cloud.plane.emulator.client("dynamodb").delete_item(
                TableName=cloud.plane.shares, Key={"pk": row["pk"], "sk": row["sk"]}
            )
        assert folded(cloud, share) == (["one"], 1)

    def test_it_keeps_when_each_item_arrived(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("x", "later"), at=2000)
        take(cloud, share)
        share.sync(part("x", "earlier"), at=1000)
        take(cloud, share)
        assert folded(cloud, share) == (["later"], 2)

    def test_it_refers_to_large_bodies_and_does_not_hold_them(self, cloud: Environment) -> None:
        share, text = cloud.share(), incompressible(400_000)
        share.sync(part("1", text))
        taken = take(cloud, share)
        assert taken.stored < 1000
        fold, _ = cloud.snapshots.fold(cloud.row(share.id))
        assert texts_of(cloud.reading.inline(ShareId(share.id), fold.items())) == [text]

    def test_the_object_is_there_before_the_row_names_it(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        seen: list[list[str]] = []
        cloud.steering.before(ShareStore.set_snapshot, lambda: seen.append(cloud.plane.objects(share.id, "snapshots")))
        taken = take(cloud, share)
        assert seen == [[taken.object, taken.object + ZSTD_SUFFIX]]

    def test_the_one_before_is_kept_for_those_who_were_just_sent_to_it(self, cloud: Environment) -> None:
        share = cloud.share()
        taken: list[str] = []
        for n in range(4):
            share.sync(part(str(n)))
            taken.append(take(cloud, share).object)
        assert set(cloud.plane.objects(share.id, "snapshots")) == {
            *taken[-2:],
            *(name + ZSTD_SUFFIX for name in taken[-2:]),
        }

    def test_of_two_at_once_the_one_of_more_wins_and_the_other_leaves_nothing(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        elsewhere = share.from_elsewhere()
        newer: list[Snapshot] = []

        def publish_and_take() -> None:
            elsewhere.sync(part("2"))
            newer.append(take(elsewhere.environment, share))

        cloud.steering.before(ObjectStore.put, publish_and_take)
        assert take(cloud, share) == newer[0]
        assert cloud.plane.objects(share.id, "snapshots") == [newer[0].object, newer[0].object + ZSTD_SUFFIX]
        assert folded(cloud, share)[1] == 2

    @pytest.mark.parametrize("moment", ["before the object is written", "before the row names it"])
    def test_of_a_share_that_goes_meanwhile_leaves_nothing(self, cloud: Environment, moment: str) -> None:
        share = cloud.share()
        share.sync(part("1"))
        step = ObjectStore.put if "object" in moment else ShareStore.set_snapshot
        cloud.steering.before(step, lambda: cloud.deletion.unshare(ShareId(share.id), share.secret))
        with pytest.raises(Gone):
            take(cloud, share)
        assert cloud.plane.objects(share.id) == []


class TestFollowing:
    def follow(self, cloud: Environment, share: SharedSession, seq: int, total: int) -> Snapshot | None:
        return cloud.snapshots.follow(ShareId(share.id), Position(seq, total))

    def test_a_short_tail_is_left_alone(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        assert self.follow(cloud, share, 1, snapshots.TAIL_BYTES - 1) is None
        assert cloud.row(share.id).hint == Position(), "nor is the row written"

    def test_a_tail_of_128_kb_is_folded(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        taken = self.follow(cloud, share, 1, snapshots.TAIL_BYTES)
        assert taken is not None
        assert cloud.row(share.id).snapshot == taken
        assert cloud.row(share.id).hint == end(cloud, share)

    def test_the_tail_behind_a_large_snapshot_may_grow_to_a_twentieth_of_it(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshots, "TAIL_BYTES", 10)
        share = cloud.share()
        share.sync(part("1", incompressible(20_000)))
        base = take(cloud, share)
        twentieth = base.stored // 20
        assert self.follow(cloud, share, 1, base.total + twentieth - 1) is None
        share.sync(part("2"))
        assert self.follow(cloud, share, 2, base.total + twentieth + 1) is not None

    def test_a_log_of_many_small_items_advances_the_hint_of_its_end(self, cloud: Environment) -> None:
        share = cloud.share()
        assert self.follow(cloud, share, 99, 500) is None
        assert cloud.row(share.id).hint == Position()
        assert self.follow(cloud, share, 100, 500) is None
        assert cloud.row(share.id).hint == Position(100, 500)
        assert self.follow(cloud, share, 50, 200) is None
        assert cloud.row(share.id).hint == Position(100, 500), "an older end comes too late"

    def test_a_writer_that_knows_nothing_begins_at_the_hint(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(*[part(str(n)) for n in range(100)])
        self.follow(cloud, share, 100, end(cloud, share).total)
        assert share.from_elsewhere().sync(part("next")) == 101

    def test_a_share_that_is_gone_is_left_alone(self, cloud: Environment) -> None:
        share = cloud.share()
        cloud.deletion.unshare(ShareId(share.id), share.secret)
        for share_id in (share.id, "A" * 22):
            assert cloud.snapshots.follow(ShareId(share_id), Position(1, 10 * snapshots.TAIL_BYTES)) is None
        assert cloud.plane.objects(share.id) == []


class TestStream:
    def change(self, share_id: str, last: int, total: int, number: str) -> dict[str, Any]:
        image = {"pk": {"S": share_id}, "last": {"N": str(last)}, "total": {"N": str(total)}}
        return {"dynamodb": {"NewImage": image, "SequenceNumber": number}}

    def test_each_log_of_a_batch_is_folded_once_as_far_as_it_reaches(self, cloud: Environment) -> None:
        shares = [cloud.share() for _ in range(2)]
        for share in shares:
            share.sync(part("1"), part("2"))
        changes = [self.change(share.id, last, snapshots.TAIL_BYTES, f"{last}") for last in (1, 2) for share in shares]
        answer = SharingStream(cloud.snapshots).handle({"Records": changes})
        assert answer == {"batchItemFailures": []}
        assert [len(cloud.plane.objects(share.id, "snapshots")) for share in shares] == [2, 2]

    def test_a_log_that_fails_comes_again_and_fails_no_other(self, cloud: Environment) -> None:
        bad, good = cloud.share(), cloud.share()
        for share in (bad, good):
            share.sync(part("1"))

        def fail() -> None:
            raise RuntimeError("the store is away")

        cloud.steering.before(ShareStore.set_snapshot, fail)
        changes = [self.change(share.id, 1, snapshots.TAIL_BYTES, share.id) for share in (bad, good)]
        answer = SharingStream(cloud.snapshots).handle({"Records": changes})
        assert answer == {"batchItemFailures": [{"itemIdentifier": bad.id}]}
        assert cloud.row(good.id).snapshot is not None

    def test_a_share_that_goes_while_it_is_folded_is_no_failure(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        cloud.steering.before(ShareStore.set_snapshot, lambda: cloud.deletion.unshare(ShareId(share.id), share.secret))
        answer = SharingStream(cloud.snapshots).handle(
            {"Records": [self.change(share.id, 1, snapshots.TAIL_BYTES, "7")]}
        )
        assert answer == {"batchItemFailures": []}


class TestDocuments:
    def test_is_written_once_and_read_by_its_address(self, cloud: Environment) -> None:
        share = cloud.share()
        addresses = [
            cloud.snapshots.publish(ShareId(share.id), "documents/d", b'{"a":1}', "application/json") for _ in range(2)
        ]
        assert cloud.plane.objects(share.id) == ["documents/d"]
        assert {address.partition("?")[0] for address in addresses} == {
            f"{cloud.objects.origin()}/{cloud.plane.bucket}/shares/{share.id}/documents/d"
        }

    def test_of_a_share_that_goes_meanwhile_leaves_nothing(self, cloud: Environment) -> None:
        share = cloud.share()
        cloud.steering.before(ObjectStore.put, lambda: cloud.deletion.unshare(ShareId(share.id), share.secret))
        with pytest.raises(Gone):
            cloud.snapshots.publish(ShareId(share.id), "documents/d", b"{}", "application/json")
        assert cloud.plane.objects(share.id) == []


@pytest.mark.parametrize("coding", list(Coding))
def test_the_objects_are_the_document_that_readers_get(
    cloud: Environment, monkeypatch: pytest.MonkeyPatch, coding: Coding
) -> None:
    share = cloud.share()
    share.sync(part("1", "one"), part("2", "two"), at=1000)
    share.sync(part("1", "new"), at=2000)
    unfolded = document_of(cloud.reading.items(share.id, Visitor()))
    taken = take(cloud, share)
    direct = cloud.reading.items(share.id, Visitor(), coding=coding)
    assert isinstance(direct, ShareDocument)
    assert direct.coding is coding
    assert document_of(direct) == {**unfolded, "more": True}
    monkeypatch.setattr(reading, "DIRECT_BYTES", 0)
    stored = cloud.reading.items(share.id, Visitor(), coding=coding)
    assert isinstance(stored, Redirect)
    assert (ZSTD_SUFFIX in stored.address) == (coding is Coding.ZSTD)
    with urllib.request.urlopen(stored.address, timeout=PATIENCE) as response:
        assert json.loads(unpack(response.read(), Coding(response.headers["content-encoding"]))) == document_of(direct)
    assert (taken.seq, taken.zstd) == (3, True)


def test_a_snapshot_from_before_zstd_is_read_by_gzip(cloud: Environment) -> None:
    share = cloud.share()
    share.sync(part("1", "one"))
    taken = take(cloud, share)
    old = msgspec.structs.replace(taken, zstd=False, seq=2, object="snapshots/old")
    cloud.objects.put(share.id, old.object, cloud.objects.get(share.id, taken.object))
    cloud.store.set_snapshot(share.id, old, Position(2, 99))
    document = cloud.reading.items(share.id, Visitor(), coding=Coding.ZSTD)
    assert isinstance(document, ShareDocument)
    assert document.coding is Coding.GZIP
    assert folded(cloud, share)[0] == ["one"]
