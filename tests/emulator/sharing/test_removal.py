"""Removal: the share is gone at once for everyone, then purged, then verified empty (invariant I5)."""

from __future__ import annotations

import json

import httpx
import pytest

from opencode_cloud.contracts.ids import ConnectionId, ShareId
from opencode_cloud.kit.clock import DAY_SECONDS, now_seconds
from opencode_cloud.kit.errors import Forbidden, Gone, NotFound, Unauthorized, Unavailable
from opencode_cloud.kit.housekeeping import ItemsFailed
from opencode_cloud.sharing.models import Protocol, Share, Tombstone
from opencode_cloud.sharing.service import deletion, reading
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.reading import Redirect
from opencode_cloud.sharing.store import ObjectStore, ShareStore
from tests.emulator.sharing.plane import Environment, Plane, SharedSession, incompressible, items_of
from tests.integration.publisher import part
from tests.metrics import written_metrics
from tests.waiting import PATIENCE

LARGE = 400_000


def unshare(cloud: Environment, share: SharedSession) -> None:
    assert cloud.deletion.unshare(ShareId(share.id), share.secret) is not None


def tombstone(cloud: Environment, share: SharedSession) -> Tombstone:
    kept = cloud.deletion.look_up(ShareId(share.id))
    assert isinstance(kept, Tombstone)
    return kept


def left(cloud: Environment, share: SharedSession) -> tuple[int, int]:
    """Return the numbers of rows and object versions of a share."""
    return len(cloud.plane.rows(share.id)), len(cloud.plane.objects(share.id))


class TestUnsharing:
    def test_readers_writers_and_viewers_are_told_at_once(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        live, poll = cloud.follow(share.id), cloud.follow(share.id, Protocol.POLL)
        unshare(cloud, share)
        elsewhere = Environment(cloud.plane)
        for attempt in (
            lambda: elsewhere.reading.state(ShareId(share.id), Visitor()),
            lambda: elsewhere.reading.items(ShareId(share.id), Visitor()),
            lambda: elsewhere.reading.item(ShareId(share.id), Visitor(), 1),
            lambda: elsewhere.viewing.resume(ConnectionId("new"), ShareId(share.id), 0),
            lambda: elsewhere.viewing.ping(ShareId(share.id)),
            lambda: elsewhere.viewing.poll(ConnectionId("new"), ShareId(share.id)),
            lambda: share.sync(part("2")),
            lambda: share.from_elsewhere().sync(part("2")),
        ):
            with pytest.raises(Gone):
                attempt()
        assert live.frames == [{"type": "gone", "share": share.id}]
        assert poll.sent == [], "the legacy protocol has no such frame"
        assert (live.open, poll.open) == (False, False)

    def test_needs_the_secret(self, cloud: Environment) -> None:
        share, other = cloud.share(), cloud.share()
        with pytest.raises(Unauthorized):
            cloud.deletion.unshare(ShareId(share.id), "")
        with pytest.raises(Forbidden):
            cloud.deletion.unshare(ShareId(share.id), other.secret)
        assert share.sync(part("1")) == 1

    def test_again_or_of_what_never_was_is_no_error(self, cloud: Environment) -> None:
        share = cloud.share()
        unshare(cloud, share)
        assert cloud.deletion.unshare(ShareId(share.id), "any") is None
        assert cloud.deletion.unshare(ShareId("A" * 22), "any") is None

    def test_twice_at_once_leaves_the_first_tombstone(self, cloud: Environment) -> None:
        share, operator = cloud.share(), Environment(cloud.plane)
        cloud.steering.before(
            ShareStore.mark_deleted, lambda: operator.deletion.remove(ShareId(share.id), "removed by the operator")
        )
        cloud.deletion.unshare(ShareId(share.id), share.secret)
        assert tombstone(cloud, share).reason == "removed by the operator"

    def test_frees_the_session_for_a_new_share_at_once(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1", "before"))
        unshare(cloud, share)
        again = cloud.share(share.session_id)
        assert again.id != share.id
        assert again.secret != share.secret
        again.sync(part("1", "after"))
        assert cloud.texts(again.id) == ["after"]

    def test_of_an_expired_share_leaves_the_sessions_newer_one(self, plane: Plane) -> None:
        expired = Environment(plane, lifetime_seconds=-1).share()
        cloud = Environment(plane)
        newer = cloud.share(expired.session_id)
        cloud.deletion.unshare(ShareId(expired.id), expired.secret)
        assert cloud.share(expired.session_id).credentials == newer.credentials

    def test_the_operator_needs_no_secret_and_a_share_that_was_there(self, cloud: Environment) -> None:
        share = cloud.share()
        cloud.deletion.remove(ShareId(share.id), "removed by the operator")
        assert tombstone(cloud, share).reason == "removed by the operator"
        cloud.deletion.remove(ShareId(share.id), "again")
        with pytest.raises(NotFound):
            cloud.deletion.remove(ShareId("A" * 22), "any")
        with pytest.raises(NotFound):
            cloud.deletion.look_up(ShareId("A" * 22))


class TestPurging:
    def test_deletes_every_row_and_every_version_of_every_object(self, cloud: Environment) -> None:
        share, other = cloud.share(), cloud.share()
        for n in range(30):
            share.sync(part(str(n)))
        share.sync(part("large", incompressible(LARGE)), part("small"))
        cloud.snapshots.take(cloud.row(share.id))
        cloud.snapshots.publish(ShareId(share.id), "documents/data", b"[]", "application/json")
        other.sync(part("1", incompressible(LARGE)))
        rows, objects = left(cloud, share)
        assert rows > 30
        assert objects == 4, "the large body, the snapshot in two codings and the document"
        before = left(cloud, other)
        unshare(cloud, share)
        cloud.deletion.purge(ShareId(share.id), 1)
        assert left(cloud, share) == (0, 0)
        assert left(cloud, other) == before
        kept = tombstone(cloud, share)
        assert (kept.removed_rows, kept.removed_objects) == (rows, objects)

    def test_deletes_objects_that_were_deleted_before_with_their_markers(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1", incompressible(LARGE)))
        name = cloud.plane.objects(share.id)[0]
        client = cloud.plane.emulator.client("s3")
        client.delete_object(Bucket=cloud.plane.bucket, Key=f"shares/{share.id}/{name}")
        unshare(cloud, share)
        cloud.deletion.purge(ShareId(share.id), 1)
        assert left(cloud, share) == (0, 0)

    def test_ends_the_addresses_of_documents_that_were_given_out_before(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ANSWER_BYTES", 500)
        share = cloud.share()
        share.sync(part("1", "x" * 1000))
        given = cloud.reading.items(ShareId(share.id), Visitor())
        assert isinstance(given, Redirect)
        assert httpx.get(given.address, timeout=PATIENCE).status_code == 200
        unshare(cloud, share)
        cloud.deletion.purge(ShareId(share.id), 1)
        assert httpx.get(given.address, timeout=PATIENCE).status_code == 404

    def test_is_asked_for_when_a_share_is_removed_and_again_to_verify_it(self, cloud: Environment) -> None:
        share = cloud.share()
        unshare(cloud, share)
        (request,) = cloud.plane.received(cloud.plane.purges)
        assert request == {"share_id": share.id}
        cloud.purges.handle({"Records": [{"messageId": "1", "receiptHandle": "r", "body": json.dumps(request)}]})
        assert cloud.plane.received(cloud.plane.purges) == []
        assert cloud.plane.delayed(cloud.plane.purges) == 1, "a writer that had begun may still run"
        assert tombstone(cloud, share).purged_at is None
        cloud.deletion.purge(ShareId(share.id), 2)
        assert tombstone(cloud, share).purged_at is not None
        assert cloud.plane.delayed(cloud.plane.purges) == 1, "nothing was left: no round more"

    def test_finds_what_a_writer_has_left_and_verifies_once_more(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        slow = share.from_elsewhere()

        def unshare_and_purge() -> None:
            unshare(cloud, share)
            cloud.deletion.purge(ShareId(share.id), 1)

        slow.environment.steering.before(ShareStore.append, unshare_and_purge)
        with pytest.raises(Gone):
            slow.sync(part("2", incompressible(LARGE)))
        assert left(cloud, share) == (1, 0), "the record; its body was written before the purge"
        cloud.plane.received(cloud.plane.purges)
        before = cloud.plane.delayed(cloud.plane.purges)
        with written_metrics() as metrics:
            cloud.deletion.purge(ShareId(share.id), 2)
        assert metrics["PurgeLeftOverCount"] == [1]
        assert left(cloud, share) == (0, 0)
        assert tombstone(cloud, share).purged_at is None, "another writer may have left something, too"
        assert cloud.plane.delayed(cloud.plane.purges) == before + 1
        cloud.deletion.purge(ShareId(share.id), 3)
        assert tombstone(cloud, share).purged_at is not None

    def test_finds_an_object_that_was_written_after_the_purge(self, cloud: Environment) -> None:
        share = cloud.share()
        slow = share.from_elsewhere()

        def unshare_and_purge() -> None:
            unshare(cloud, share)
            cloud.deletion.purge(ShareId(share.id), 1)

        slow.environment.steering.before(ObjectStore.put_body, unshare_and_purge)
        with pytest.raises(Gone):
            slow.sync(part("1", incompressible(LARGE)))
        assert left(cloud, share) == (1, 1)
        cloud.deletion.purge(ShareId(share.id), 2)
        assert left(cloud, share) == (0, 0)
        kept = tombstone(cloud, share)
        assert (kept.purged_at, kept.removed_objects) == (None, 1)

    def test_finds_what_was_written_between_its_own_steps(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        slow = share.from_elsewhere()
        unshare(cloud, share)
        payload = slow.environment.store.prepare(ShareId(share.id), items_of(part("late")))
        tail = slow.environment.store.head(ShareId(share.id), None).tail
        cloud.steering.after(
            ObjectStore.purge, lambda: slow.environment.objects.put(ShareId(share.id), "items/late", b"late")
        )
        cloud.steering.after(
            ShareStore.purge, lambda: slow.environment.store.append(ShareId(share.id), tail, 1, payload)
        )
        cloud.deletion.purge(ShareId(share.id), 1)
        assert left(cloud, share) == (1, 1)
        cloud.deletion.purge(ShareId(share.id), 2)
        assert left(cloud, share) == (0, 0)
        assert tombstone(cloud, share).purged_at is None
        cloud.deletion.purge(ShareId(share.id), 3)
        assert tombstone(cloud, share).purged_at is not None

    def test_ends_the_sockets_of_those_who_joined_meanwhile(self, cloud: Environment) -> None:
        share = cloud.share()
        unshare(cloud, share)
        late = cloud.follow(share.id)
        cloud.deletion.purge(ShareId(share.id), 1)
        assert late.frames == [{"type": "gone", "share": share.id}]
        assert not late.open
        assert tombstone(cloud, share).closed_sockets == 1

    def test_ends_every_socket_also_where_the_removal_told_the_first_only(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deletion, "INLINE_VIEWERS", 1)
        share = cloud.share()
        sockets = [cloud.follow(share.id) for _ in range(3)]
        unshare(cloud, share)
        assert [socket.open for socket in sockets].count(False) == 1
        cloud.deletion.purge(ShareId(share.id), 1)
        assert [socket.open for socket in sockets] == [False] * 3

    def test_of_a_share_that_was_not_removed_is_not_verified(self, cloud: Environment) -> None:
        cloud.deletion.purge(ShareId("A" * 22), 2)
        assert cloud.plane.delayed(cloud.plane.purges) == 0
        assert cloud.store.tombstone(ShareId("A" * 22)) is None

    def test_that_fails_comes_again_and_fails_no_other(self, cloud: Environment) -> None:
        first, second = cloud.share(), cloud.share()
        for share in (first, second):
            unshare(cloud, share)

        def fail() -> None:
            raise RuntimeError("the store is away")

        cloud.steering.before(ShareStore.purge, fail)
        records = [
            {"messageId": share.id, "receiptHandle": "r", "body": json.dumps({"share_id": share.id})}
            for share in (first, second)
        ]
        assert cloud.purges.handle({"Records": records}) == {"batchItemFailures": [{"itemIdentifier": first.id}]}
        assert left(cloud, second) == (0, 0)


class TestExpiry:
    def test_shares_whose_lifetime_is_over_are_removed_by_the_schedule(self, plane: Plane) -> None:
        expired = Environment(plane, lifetime_seconds=-1).share()
        living = Environment(plane, lifetime_seconds=3600).share()
        endless = Environment(plane).share()
        cloud = Environment(plane)
        assert cloud.deletion.sweep() == 1
        assert tombstone(cloud, expired).reason == "expired"
        for share in (living, endless):
            assert share.sync(part("1")) == 1

    def test_a_share_that_cannot_be_removed_holds_up_no_other(
        self, plane: Plane, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = (Environment(plane, lifetime_seconds=-1).share() for _ in range(2))
        cloud, whole = Environment(plane), ShareStore.share

        def share(store: ShareStore, share_id: ShareId) -> Share | None:
            if share_id == first.id:
                raise Unavailable("slow", "The store does not answer.")
            return whole(store, share_id)

        with monkeypatch.context() as broken, written_metrics() as metrics:
            broken.setattr(ShareStore, "share", share)
            with pytest.raises(ItemsFailed, match=f"1 failed, the first of them {first.id}"):
                cloud.deletion.sweep()
        assert metrics["ExpiredCount"] == [1]
        assert tombstone(cloud, second).reason == "expired"
        cloud.deletion.sweep()
        assert tombstone(cloud, first).reason == "expired"

    @pytest.mark.parametrize("days", [1, 7])
    def test_an_outage_of_the_schedule_is_made_good(self, plane: Plane, days: int) -> None:
        expired = Environment(plane, lifetime_seconds=-days * DAY_SECONDS).share()
        cloud = Environment(plane)
        assert cloud.deletion.sweep() == 1
        assert tombstone(cloud, expired).reason == "expired"

    def test_a_purge_whose_message_was_lost_is_taken_up(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        unshare(cloud, share)
        assert len(cloud.plane.received(cloud.plane.purges)) == 1
        assert cloud.purges.handle({"source": "schedule"}) == {}
        (request,) = cloud.plane.received(cloud.plane.purges)
        assert request == {"share_id": share.id}
        assert tombstone(cloud, share).reason == "unshared"
        cloud.deletion.purge(ShareId(share.id), 1)
        assert cloud.deletion.sweep() == 0, "what is purged is taken up no more"

    def test_rows_that_dynamodb_deletes_by_itself_name_their_time_in_seconds(self, cloud: Environment) -> None:
        share = cloud.share()
        cloud.follow(share.id)
        (viewer,) = cloud.plane.rows(share.id, "V#")
        (connection,) = cloud.plane.emulator.rows(cloud.plane.connections)
        for row in (viewer, connection):
            assert 0 < int(row["ttl"]["N"]) - now_seconds() <= 3 * 3600


def test_all_shares_of_a_workspace_are_removed_and_those_of_others_stay(
    cloud: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "PAGE", 2)
    people = cloud.plane.people
    ours, theirs = people.workspace(), people.workspace()
    owner, stranger = people.member(ours), people.member(theirs)
    shares = [cloud.share(actor=cloud.actor(owner, ours)) for _ in range(5)]
    other = cloud.share(actor=cloud.actor(stranger, theirs))
    assert cloud.purges.handle(
        {"Records": [{"messageId": "1", "receiptHandle": "r", "body": json.dumps({"workspace_id": ours})}]}
    ) == {"batchItemFailures": []}
    assert {tombstone(cloud, share).reason for share in shares} == {"workspace purged"}
    assert other.sync(part("1")) == 1
