"""The rows and objects of shares: read as written, changed under their conditions, removed completely."""

from __future__ import annotations

import gzip
import secrets

import msgspec
import pytest

from opencode_cloud.contracts.ids import ConnectionId, ShareId, WorkspaceId
from opencode_cloud.kit import rate_counters
from opencode_cloud.kit.clock import DAY_SECONDS, day_of, now_seconds
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.rate_counters import Count
from opencode_cloud.sharing.models import (
    Item,
    Mode,
    Ownership,
    Position,
    Protocol,
    Record,
    Share,
    Snapshot,
    State,
    Tombstone,
    Viewer,
)
from opencode_cloud.sharing.store import ConnectionStore, LogPage, ObjectStore, ShareStore
from opencode_cloud.sharing.store.log import ITEM_BODY_BYTES, ROW_PAYLOAD_BYTES
from tests.unit.aws import Cloud, by_boto3

SHARE = Share(
    id=ShareId("shr_1"),
    state=State.ACTIVE,
    session_hash="session",
    secret_hash=b"\x01\xff",
    sealed_session=b"\x02\xfe",
    pseudonym="ses_pseudonym",
    created_at=1_000,
    hint=Position(),
)
OWNERSHIP = Ownership(
    owner="acc_1", workspace_id=WorkspaceId("wrk_1"), mode=Mode.PASSWORD, ticket_key=b"k1", password_hash="argon2"
)
SNAPSHOT = Snapshot(seq=3, total=300, bytes=30, stored=20, object="snapshots/a", previous="snapshots/z")
TOMBSTONE = Tombstone(share_id=ShareId("shr_1"), reason="unshared", deleted_at=1_800_000_000)


def owned(**changes: object) -> Share:
    return msgspec.structs.replace(SHARE, **{"ownership": OWNERSHIP, **changes})


def item(key: str, data: bytes = b"{}") -> Item:
    return Item(key=key, type="message", data=data)


@pytest.fixture
def objects(cloud: Cloud) -> ObjectStore:
    return ObjectStore(cloud.bucket("shares", versioned=True))


@pytest.fixture
def store(cloud: Cloud, objects: ObjectStore) -> ShareStore:
    return ShareStore(cloud.table("shares"), objects)


def append(store: ShareStore, tail: Position, *items: Item, at: int = 5) -> Position:
    end = store.append(ShareId("shr_1"), tail, at, store.prepare(ShareId("shr_1"), items))
    assert end is not None
    return end


class TestShares:
    @pytest.mark.parametrize("share", [SHARE, owned(expires_at=9), owned()], ids=["anonymous", "expiring", "owned"])
    def test_a_share_is_read_as_written(self, store: ShareStore, share: Share) -> None:
        assert store.create(share)
        assert store.share(ShareId("shr_1")) == share
        assert store.share_of("session") == "shr_1"

    def test_every_field_of_the_ownership_is_stored(self, store: ShareStore) -> None:
        full = msgspec.structs.replace(OWNERSHIP, title="Fix the build", allowed_secrets=("jwt",), comments=True)
        without = [field.name for field in msgspec.structs.fields(full) if getattr(full, field.name) == field.default]
        assert without == [], "give each field a value here"
        assert store.create(owned(ownership=full))
        stored = store.share(ShareId("shr_1"))
        assert stored is not None
        assert stored.ownership == full

    def test_a_session_has_one_share(self, store: ShareStore) -> None:
        assert store.create(SHARE)
        second = msgspec.structs.replace(SHARE, id="shr_2")
        assert not store.create(second)
        assert not store.create(second, replaces=ShareId("shr_0"))
        assert (store.share_of("session"), store.share(ShareId("shr_2"))) == ("shr_1", None)
        assert store.create(second, replaces=ShareId("shr_1"))
        assert store.share_of("session") == "shr_2"

    def test_a_share_goes_once_and_frees_its_session(self, store: ShareStore) -> None:
        store.create(owned())
        assert store.mark_deleted(owned(), TOMBSTONE)
        assert not store.mark_deleted(owned(), msgspec.structs.replace(TOMBSTONE, reason="removed"))
        gone = store.share(ShareId("shr_1"))
        assert gone is not None
        assert gone.state is State.GONE
        assert store.tombstone(ShareId("shr_1")) == TOMBSTONE
        assert store.share_of("session") is None
        assert store.shares_in(WorkspaceId("wrk_1"), None, 10, None) == ([], None)
        assert list(store.expired([day_of(now_seconds())], now_seconds())) == ["shr_1"]

    def test_the_session_of_a_newer_share_is_not_freed(self, store: ShareStore) -> None:
        store.create(SHARE)
        store.create(msgspec.structs.replace(SHARE, id="shr_2"), replaces=ShareId("shr_1"))
        assert store.mark_deleted(SHARE, TOMBSTONE)
        assert store.share_of("session") == "shr_2"

    def test_a_tombstone_is_replaced_by_what_the_purge_found(self, store: ShareStore) -> None:
        proof = msgspec.structs.replace(TOMBSTONE, purged_at=9, removed_rows=3, removed_objects=2, closed_sockets=1)
        store.put_tombstone(TOMBSTONE)
        store.put_tombstone(proof)
        assert store.tombstone(ShareId("shr_1")) == proof

    def test_what_has_expired_is_found_by_its_day(self, store: ShareStore) -> None:
        today = 1_800_000_000
        for name, expires_at in (("a", today), ("b", today + 1), ("c", today - DAY_SECONDS)):
            store.create(msgspec.structs.replace(SHARE, id=name, session_hash=name, expires_at=expires_at))
        assert list(store.expired([day_of(today)], today)) == ["a"]
        assert set(store.expired([day_of(today), day_of(today - DAY_SECONDS)], today)) == {"a", "c"}


class TestOwnership:
    def test_a_share_is_claimed_once_and_found_by_its_owners_session_alone(self, store: ShareStore) -> None:
        store.create(SHARE)
        claimed = owned(expires_at=9, session_hash="owner's session", needs_login=True)
        assert store.claim(SHARE, claimed)
        second = msgspec.structs.replace(OWNERSHIP, owner="acc_2")
        assert not store.claim(SHARE, owned(ownership=second, session_hash="second's session"))
        assert store.share(ShareId("shr_1")) == claimed
        found = [store.share_of(each) for each in ("session", "owner's session", "second's session")]
        assert found == [None, "shr_1", None]

    def test_a_claimed_share_replaces_the_one_that_its_owners_session_had(self, store: ShareStore) -> None:
        store.create(owned(id="shr_2", session_hash="owner's session"))
        store.create(SHARE)
        assert store.claim(SHARE, owned(session_hash="owner's session"))
        assert store.share_of("owner's session") == "shr_1"

    def test_a_secret_is_renewed_once(self, store: ShareStore) -> None:
        share = owned(needs_login=True)
        store.create(share)
        renewed = owned(secret_hash=b"new", sealed_session=b"sealed anew")
        assert store.renew_secret(share, renewed)
        assert not store.renew_secret(share, owned(secret_hash=b"other"))
        assert store.share(ShareId("shr_1")) == renewed

    def test_of_two_changes_of_one_state_the_first_counts(self, store: ShareStore) -> None:
        share = owned(expires_at=9)
        store.create(share)
        narrower = msgspec.structs.replace(OWNERSHIP, mode=Mode.WORKSPACE, ticket_key=b"k2", password_hash="")
        assert store.change(share, narrower, None)
        assert not store.change(share, OWNERSHIP, 10)
        assert store.share(ShareId("shr_1")) == msgspec.structs.replace(SHARE, ownership=narrower)
        assert list(store.expired([day_of(9)], 9)) == []

    def test_a_share_that_is_gone_is_neither_claimed_nor_changed(self, store: ShareStore) -> None:
        store.create(owned())
        store.mark_deleted(owned(), TOMBSTONE)
        assert not store.change(owned(), OWNERSHIP, None)
        assert not store.claim(SHARE, owned())
        assert not store.renew_secret(SHARE, owned(secret_hash=b"new"))

    def test_only_a_share_with_an_owner_gets_a_title(self, store: ShareStore) -> None:
        store.create(owned())
        store.create(msgspec.structs.replace(SHARE, id="shr_2", session_hash="two"))
        for share_id in ("shr_1", "shr_2", "shr_3"):
            store.set_title(ShareId(share_id), "A session")
        assert store.share(ShareId("shr_1")) == owned(ownership=msgspec.structs.replace(OWNERSHIP, title="A session"))
        assert store.share(ShareId("shr_2")) == msgspec.structs.replace(SHARE, id="shr_2", session_hash="two")
        assert store.share(ShareId("shr_3")) is None

    def test_lists_come_in_pages_the_newest_first(self, store: ShareStore) -> None:
        for number, (owner, workspace) in enumerate([("acc_1", "wrk_1"), ("acc_2", "wrk_1"), ("acc_1", "wrk_2")] * 2):
            ownership = msgspec.structs.replace(OWNERSHIP, owner=owner, workspace_id=workspace)
            share = owned(id=f"shr_{number}", session_hash=str(number), created_at=number)
            store.create(msgspec.structs.replace(share, ownership=ownership))
        first, following = store.shares_in(WorkspaceId("wrk_1"), None, 3, None)
        assert first == ["shr_4", "shr_3", "shr_1"]
        assert store.shares_in(WorkspaceId("wrk_1"), None, 3, following) == (["shr_0"], None)
        assert store.shares_in(WorkspaceId("wrk_1"), "acc_1", 10, None) == (["shr_3", "shr_0"], None)

    def test_a_list_shows_views_and_leaves_out_what_is_gone(self, store: ShareStore) -> None:
        for name in ("a", "b", "c"):
            store.create(owned(id=name, session_hash=name))
        store.create(msgspec.structs.replace(SHARE, id="anonymous"))
        store.mark_deleted(owned(id="b", session_hash="b"), msgspec.structs.replace(TOMBSTONE, share_id="b"))
        store.count_view(ShareId("c"))
        store.count_view(ShareId("c"))
        found = store.listed([ShareId(name) for name in ("c", "unknown", "b", "anonymous", "a")])
        assert [(each.share.id, each.views) for each in found] == [("c", 2), ("a", 0)]


class TestSnapshots:
    def test_a_snapshot_only_advances(self, store: ShareStore) -> None:
        store.create(SHARE)
        assert store.set_snapshot(ShareId("shr_1"), SNAPSHOT, Position(3, 300))
        assert not store.set_snapshot(ShareId("shr_1"), SNAPSHOT, Position(3, 300)), "it is the one that is there"
        older = msgspec.structs.replace(SNAPSHOT, seq=2, previous=None)
        assert not store.set_snapshot(ShareId("shr_1"), older, Position(4, 400))
        assert not store.set_snapshot(ShareId("shr_1"), None, Position(2, 200))
        assert store.set_snapshot(ShareId("shr_1"), None, Position(5, 500))
        assert store.share(ShareId("shr_1")) == msgspec.structs.replace(SHARE, snapshot=SNAPSHOT, hint=Position(5, 500))

    def test_a_share_that_is_gone_gets_no_snapshot(self, store: ShareStore) -> None:
        store.create(SHARE)
        store.mark_deleted(SHARE, TOMBSTONE)
        assert not store.set_snapshot(ShareId("shr_1"), SNAPSHOT, Position(3, 300))
        assert not store.set_snapshot(ShareId("unknown"), None, Position(3, 300))


class TestLog:
    def test_items_are_numbered_on_and_keep_their_bytes_and_arrival(self, store: ShareStore) -> None:
        store.create(SHARE)
        tail = append(store, Position(), item("m/1", b'{"a": 1.50}'), item("m/2"), at=7)
        append(store, tail, item("m/1"), at=6)
        found = list(store.records(ShareId("shr_1"), 0))
        assert [(each.first, each.last, each.at) for each in found] == [(1, 2, 7), (3, 3, 6)]
        assert found[0].items[0] == Item(key="m/1", type="message", data=b'{"a": 1.50}', seq=1, at=7)
        assert [each.seq for record in found for each in record.items] == [1, 2, 3]
        assert found[1].total == found[0].total + len(store.prepare(ShareId("shr_1"), [item("m/1")]).packed or b"")

    def test_of_two_writers_that_know_the_same_end_one_wins(self, store: ShareStore) -> None:
        store.create(SHARE)
        append(store, Position(), item("first"))
        assert store.append(ShareId("shr_1"), Position(), 5, store.prepare(ShareId("shr_1"), [item("second")])) is None
        assert [each.key for record in store.records(ShareId("shr_1"), 0) for each in record.items] == ["first"]

    @pytest.mark.parametrize(("after", "firsts"), [(0, [1, 4]), (1, [1, 4]), (3, [4]), (4, [4]), (5, [])])
    def test_a_log_is_read_from_anywhere_also_within_a_record(
        self, store: ShareStore, after: int, firsts: list[int]
    ) -> None:
        store.create(SHARE)
        tail = append(store, Position(), item("a"), item("b"), item("c"))
        append(store, tail, item("d"), item("e"))
        assert [record.first for record in store.records(ShareId("shr_1"), after)] == firsts
        page = store.page(ShareId("shr_1"), after)
        assert page.share == SHARE
        assert page.complete
        assert [record.first for record in page.records if record.last > after] == firsts

    def test_a_number_leads_to_its_record(self, store: ShareStore) -> None:
        store.create(SHARE)
        append(store, append(store, Position(), item("a"), item("b")), item("c"))
        assert [
            record.first if (record := store.record_with(ShareId("shr_1"), seq)) else None for seq in (1, 2, 3, 4)
        ] == [
            1,
            1,
            3,
            None,
        ]

    def test_a_commit_reads_all_that_it_needs_at_once(self, store: ShareStore) -> None:
        store.create(SHARE)
        viewer = Viewer(ConnectionId("con_1"), Protocol.LIVE, "ticket")
        store.add_viewer(ShareId("shr_1"), viewer)
        tail = append(store, Position(), item("a"))
        end = append(store, tail, item("b"))
        head = store.head(ShareId("shr_1"), tail)
        assert (head.share, head.viewers, head.tail) == (SHARE, (viewer,), end)
        assert [record.first for record in head.records] == [2]
        assert store.head(ShareId("shr_1"), None).tail == Position(), "without a known end it is the share's hint"
        assert store.end(ShareId("shr_1")) == (SHARE, 2)

    def test_a_log_of_more_than_a_page_is_read_record_by_record(self, store: ShareStore) -> None:
        store.create(SHARE)
        tail = Position()
        for first in range(0, 10, 2):
            # Two items of random text make a row of about 250 KB. A page of 1 MB holds fewer than five such rows.
            pair = [item(str(first + part), b'"' + secrets.token_hex(125_000).encode() + b'"') for part in range(2)]
            tail = append(store, tail, *pair)
        assert store.page(ShareId("shr_1"), 0) == LogPage(SHARE, (), complete=False)
        assert [record.first for record in store.records(ShareId("shr_1"), 0)] == [1, 3, 5, 7, 9]

    def test_a_large_item_is_stored_once_by_its_content(self, store: ShareStore, objects: ObjectStore) -> None:
        large = b'"' + b"x" * ITEM_BODY_BYTES + b'"'
        store.create(SHARE)
        tail = append(store, Position(), item("a", large), item("b"))
        append(store, tail, item("a", large))
        first, second = store.records(ShareId("shr_1"), 0)
        assert first.items[0].data == b""
        assert first.items[0].body == second.items[0].body
        assert objects.get_body(ShareId("shr_1"), first.items[0].body or "") == large
        assert first.items[1].data == b"{}"

    def test_a_large_record_is_stored_beside_its_row(self, cloud: Cloud, store: ShareStore) -> None:
        # Random text hardly compresses. Each item is small enough to stay in its record.
        many = [item(str(number), b'"' + secrets.token_hex(100_000).encode() + b'"') for number in range(5)]
        store.create(SHARE)
        append(store, Position(), *many)
        [row] = [row for row in cloud.rows("shares") if "claim" in row]
        assert "payload" not in row
        [record] = store.records(ShareId("shr_1"), 0)
        assert isinstance(record, Record)
        assert [each.data for each in record.items] == [each.data for each in many]
        assert sum(len(each.data) for each in many) > ROW_PAYLOAD_BYTES


class TestViewers:
    @pytest.mark.parametrize(
        "viewer", [Viewer(ConnectionId("con_1"), Protocol.LIVE), Viewer(ConnectionId("con_1"), Protocol.POLL, "ticket")]
    )
    def test_a_viewer_follows_until_removed(self, store: ShareStore, viewer: Viewer) -> None:
        store.add_viewer(ShareId("shr_1"), viewer)
        assert store.viewers(ShareId("shr_1")) == [viewer]
        assert store.viewers(ShareId("shr_2")) == []
        store.remove_viewer(ShareId("shr_1"), ConnectionId("con_1"))
        assert store.viewers(ShareId("shr_1")) == []

    def test_a_connection_ends_with_all_that_it_followed(self, cloud: Cloud) -> None:
        connections = ConnectionStore(cloud.table("connections"))
        for share_id in ("shr_1", "shr_2", "shr_1"):
            assert connections.follow(ConnectionId("con_1"), ShareId(share_id), 2)
        assert not connections.follow(ConnectionId("con_1"), ShareId("shr_3"), 2)
        assert sorted(connections.forget(ConnectionId("con_1"))) == ["shr_1", "shr_2"]
        assert connections.forget(ConnectionId("con_1")) == []


class TestPurge:
    def test_every_row_of_a_share_goes_and_no_other(self, cloud: Cloud, store: ShareStore) -> None:
        store.create(SHARE)
        store.put_tombstone(TOMBSTONE)
        store.count_view(ShareId("shr_1"))
        tail = Position()
        for number in range(30):
            tail = append(store, tail, item(str(number)))
        store.add_viewer(ShareId("shr_1"), Viewer(ConnectionId("con_1"), Protocol.LIVE))
        store.add_viewer(ShareId("shr_10"), Viewer(ConnectionId("con_1"), Protocol.LIVE))
        assert store.purge(ShareId("shr_1")) == 33
        assert store.purge(ShareId("shr_1")) == 0
        assert {row["pk"]["S"] for row in cloud.rows("shares")} == {"session#session", "gone#shr_1", "shr_10"}

    def test_every_version_of_every_object_goes_and_no_other_shares(self, objects: ObjectStore) -> None:
        for share_id in ("shr_1", "shr_10"):
            for _ in range(2):
                objects.put(ShareId(share_id), "documents/a", gzip.compress(b"{}"))
        objects.put_body(ShareId("shr_1"), b"large")
        objects.delete(ShareId("shr_1"), "documents/a")
        assert not objects.exists(ShareId("shr_1"), "documents/a")
        assert objects.purge(ShareId("shr_1")) == 1
        versions = by_boto3("s3").list_object_versions(Bucket="shares")
        assert {each.get("Key") for each in versions.get("Versions", [])} == {"shares/shr_10/documents/a"}
        assert "DeleteMarkers" not in versions

    def test_a_hidden_object_is_purged_too(self, objects: ObjectStore) -> None:
        objects.put(ShareId("shr_1"), "a", b"")
        by_boto3("s3").delete_object(Bucket="shares", Key="shares/shr_1/a")
        assert objects.purge(ShareId("shr_1")) == 2, "the version and the marker that hides it"


def test_rates_count_by_window(store: ShareStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_counters, "now_seconds", lambda: 7 * 60 + 50)
    assert [store.count("creates#192.0.2.1", 60) for _ in range(2)] == [Count(1, 10), Count(2, 10)]
    assert store.count("creates#192.0.2.2", 60) == Count(1, 10)
    monkeypatch.setattr(rate_counters, "now_seconds", lambda: 8 * 60)
    assert store.count("creates#192.0.2.1", 60) == Count(1, 60)


@pytest.mark.parametrize("share_id", ["A" * 3000, "ä" * 600])
def test_an_id_that_no_share_can_have_is_not_found(store: ShareStore, share_id: str) -> None:
    unknown = ShareId(share_id)
    reads = (
        lambda: store.share(unknown),
        lambda: store.head(unknown, Position()),
        lambda: store.page(unknown, 0),
        lambda: store.end(unknown),
        lambda: store.record_with(unknown, 1),
        lambda: store.tombstone(unknown),
        lambda: store.add_viewer(unknown, Viewer(ConnectionId("c"), Protocol.LIVE, "")),
    )
    for read in reads:
        with pytest.raises(NotFound):
            read()
