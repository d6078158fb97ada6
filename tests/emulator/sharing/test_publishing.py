"""Publishing: a session has one share, its log has no gap and no duplicate (I1, I2), and ids stay hidden (I4)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from opencode_cloud.contracts.ids import ClientSessionId, ConnectionId, ShareId
from opencode_cloud.kit import rate_counters
from opencode_cloud.kit.errors import BadRequest, Forbidden, Gone, NotFound, TooManyRequests, Unauthorized, Unavailable
from opencode_cloud.sharing.service import appending
from opencode_cloud.sharing.store import ShareStore
from tests.emulator.sharing.plane import ADDRESS, Environment, Plane, SharedSession
from tests.integration.publisher import message, new_session_id, part, session
from tests.unit.sharing.redaction.secrets import FORMATS, Draw

WRITERS, BATCHES = 6, 5


def numbers(cloud: Environment, share: SharedSession) -> list[int]:
    return [item.seq for record in cloud.store.records(ShareId(share.id), 0) for item in record.items]


class TestCreating:
    def test_a_session_is_shared_once(self, cloud: Environment) -> None:
        first = cloud.share()
        assert cloud.share(first.session_id).credentials == first.credentials
        assert first.from_elsewhere().environment.share(first.session_id).credentials == first.credentials

    def test_another_session_has_another_share_and_secret(self, cloud: Environment) -> None:
        first, second = cloud.share(), cloud.share()
        assert first.id != second.id
        assert first.secret != second.secret

    def test_clients_that_share_a_session_at_once_get_one_share(self, plane: Plane) -> None:
        session_id = new_session_id()
        environments = [Environment(plane) for _ in range(WRITERS)]
        with ThreadPoolExecutor(WRITERS) as pool:
            made = list(pool.map(lambda each: each.publishing.create(session_id, ADDRESS), environments))
        assert len(set(made)) == 1

    def test_a_create_that_loses_to_another_returns_the_winner(self, cloud: Environment) -> None:
        session_id, elsewhere = new_session_id(), Environment(cloud.plane)
        winners: list[SharedSession] = []
        cloud.steering.after(ShareStore.share_of, lambda: winners.append(elsewhere.share(session_id)))
        assert cloud.share(session_id).credentials == winners[0].credentials

    def test_a_create_that_always_loses_to_shares_that_end_is_refused(self, cloud: Environment) -> None:
        session_id, elsewhere = new_session_id(), Environment(cloud.plane)

        def make_and_end() -> None:
            other = elsewhere.share(session_id)
            elsewhere.deletion.unshare(ShareId(other.id), other.secret)
            elsewhere.share(session_id)

        def end() -> None:
            other = elsewhere.share(session_id)
            elsewhere.deletion.unshare(ShareId(other.id), other.secret)

        cloud.steering.before(ShareStore.create, make_and_end, times=5)
        cloud.steering.before(ShareStore.share_of, end, times=5)
        with pytest.raises(Unavailable) as refused:
            cloud.share(session_id)
        assert refused.value.code == "contended"

    def test_a_session_whose_share_has_expired_gets_a_new_one(self, plane: Plane) -> None:
        expired = Environment(plane, lifetime_seconds=-1).share()
        again = Environment(plane).share(expired.session_id)
        assert again.id != expired.id
        assert again.sync(part("1")) == 1

    @pytest.mark.parametrize("session_id", ["", "ses_", "ses_a-b", "sess_1", "ses_" + "a" * 129, "ses_a\n"])
    def test_only_ids_that_a_client_makes_are_taken(self, cloud: Environment, session_id: str) -> None:
        with pytest.raises(BadRequest) as refused:
            cloud.share(session_id)
        assert refused.value.code == "invalid_session_id"

    def test_one_address_makes_so_many_new_shares_a_minute(self, plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rate_counters, "now_seconds", lambda: 1_800_000_010)
        limited = Environment(plane, creates_per_minute=2)
        first = limited.share()
        limited.share()
        with pytest.raises(TooManyRequests) as refused:
            limited.share()
        assert refused.value.retry_after == 50
        assert limited.share(first.session_id).credentials == first.credentials, "it exists: nothing new is made"
        assert limited.publishing.create(ClientSessionId(new_session_id()), "192.0.2.2").id, (
            "the limit is of one address"
        )
        monkeypatch.setattr(rate_counters, "now_seconds", lambda: 1_800_000_061)
        limited.share()

    def test_another_network_that_knows_the_session_id_gets_a_share_of_its_own(self, cloud: Environment) -> None:
        share = cloud.share()
        other = cloud.share(share.session_id, address="192.0.2.2")
        assert (other.id, other.secret) != (share.id, share.secret)
        share.sync(part("1", "mine"))
        with pytest.raises(Forbidden):
            share.sync(part("2", "theirs"), secret=other.secret)
        cloud.deletion.unshare(other.id, other.secret)
        assert cloud.texts(share.id) == ["mine"]
        assert cloud.share(share.session_id).credentials == share.credentials

    def test_a_client_whose_address_changes_within_its_network_gets_its_share_again(self, cloud: Environment) -> None:
        share = cloud.share(address="2001:db8:1:2::9")
        again = cloud.share(share.session_id, address="2001:db8:1:2:3:4:5:6")
        assert again.credentials == share.credentials

    def test_a_stage_may_want_every_share_to_have_an_owner(self, plane: Plane) -> None:
        before = Environment(plane).share()
        strict = Environment(plane, anonymous=False)
        for session_id in (before.session_id, new_session_id()):
            with pytest.raises(Forbidden) as refused:
                strict.share(session_id)
            assert refused.value.code == "login_to_share"


class TestSecrets:
    def test_a_batch_without_the_secret_is_refused_and_not_stored(self, cloud: Environment) -> None:
        share, other = cloud.share(), cloud.share()
        mixed = share.secret[:-43] + other.secret[-43:]
        for secret, error in {"": Unauthorized, "wrong": Forbidden, other.secret: Forbidden, mixed: Forbidden}.items():
            with pytest.raises(error):
                share.sync(part("1"), secret=secret)
            with pytest.raises(error):
                share.sync(secret=secret)
        assert cloud.plane.rows(share.id, "L#") == []

    def test_there_is_no_share_of_an_unknown_id(self, cloud: Environment) -> None:
        with pytest.raises(NotFound):
            cloud.publishing.sync(ShareId("A" * 22), "secret", [], 0)

    def test_the_session_id_and_the_secret_are_stored_nowhere(self, cloud: Environment) -> None:
        share = cloud.share()
        core = share.session_id.removeprefix("ses_")
        escaped = core[0] + f"\\u{ord(core[1]):04x}" + core[2:]
        parent, child, core_of_secret = new_session_id(), new_session_id(), share.secret[-43:]
        share.sync(
            session(share.session_id, f"about {share.session_id}"),
            part("3", f"{parent} {share.secret} {core_of_secret}", sessionID=share.session_id, parentID=parent),
            {"type": "todo", "data": {child: [parent * 20_000]}},
            message("1", share.session_id),
            part("1", f"/tmp/{share.session_id}/x, bare {core} and {escaped}", sessionID=share.session_id),
            part("2", share.session_id * 20_000),
            {"type": share.session_id, "data": {"id": core, share.session_id: [core]}},
        )
        cloud.viewing.resume(ConnectionId(cloud.plane.gateway.connect().id), ShareId(share.id), 0)
        stored = list(cloud.plane.stored())
        assert any(share.id.encode() in body for body in stored)
        for needle in (core, core_of_secret, parent, child):
            assert not [body for body in stored if needle.encode() in body]

    def test_a_secret_in_content_is_stored_and_pushed_nowhere(self, cloud: Environment) -> None:
        share = cloud.share()
        viewer = cloud.follow(share.id)
        keys = [FORMATS[name](Draw(1)) for name in ("github-personal", "anthropic", "stripe")]
        share.sync(
            session(share.session_id, f"about {keys[0]}"),
            message("1", share.session_id),
            part("1", f"$ env\nTOKEN={keys[0]}\n", sessionID=share.session_id),
            part("2", "x" * 300_000 + f" {keys[1]}", sessionID=share.session_id),
            {"type": "todo", "data": {keys[2]: [json.dumps({"key": keys[2]})]}},
        )
        stored = [*cloud.plane.stored(), *(str(frame).encode() for frame in viewer.frames)]
        assert [body for body in stored if b"[redacted: github-pat]" in body]
        for key in keys:
            assert not [body for body in stored if key.encode() in body]

    def test_the_share_of_a_parent_names_its_sub_agent_as_the_sub_agents_own_share_does(
        self, cloud: Environment
    ) -> None:
        parent, child = cloud.share(), cloud.share()
        parent.sync(part("1", child.session_id))
        child.sync(part("1", child.session_id), part("2", parent.session_id))
        assert cloud.texts(parent.id) == [cloud.row(child.id).pseudonym]
        assert cloud.texts(child.id) == [cloud.row(each.id).pseudonym for each in (child, parent)]

    def test_readers_see_one_pseudonym_in_place_of_the_session_id(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1", share.session_id))
        share.sync(part("2", share.session_id))
        first, second = cloud.texts(share.id)
        assert first == second != share.session_id
        assert len(first) == len(share.session_id)


class TestCommitting:
    def test_items_are_numbered_within_the_share_from_one(self, cloud: Environment) -> None:
        share = cloud.share()
        assert share.sync(part("1"), part("2")) == 2
        assert share.from_elsewhere().sync(part("3")) == 3
        assert share.sync(part("4"), part("5")) == 5
        assert numbers(cloud, share) == [1, 2, 3, 4, 5]

    def test_an_empty_batch_commits_nothing_and_tells_the_end(self, cloud: Environment) -> None:
        share = cloud.share()
        assert share.sync() == 0
        share.sync(part("1"), part("2"))
        assert share.sync() == 2
        assert len(cloud.plane.rows(share.id, "L#")) == 1

    def test_what_was_acknowledged_is_seen_by_every_later_read(self, cloud: Environment) -> None:
        share, reader = cloud.share(), Environment(cloud.plane)
        for n in range(5):
            share.sync(part("x", str(n)))
            assert reader.texts(share.id) == [str(n)]

    def test_writers_at_once_leave_no_gap_and_no_double(self, plane: Plane) -> None:
        share = Environment(plane).share()

        def write(writer: int) -> list[int]:
            mine = share.from_elsewhere()
            return [mine.sync(part(f"{writer}_{n}a"), part(f"{writer}_{n}b")) for n in range(BATCHES)]

        with ThreadPoolExecutor(WRITERS) as pool:
            acknowledged = sorted(seq for each in pool.map(write, range(WRITERS)) for seq in each)
        assert acknowledged == [2 * (n + 1) for n in range(WRITERS * BATCHES)]
        assert numbers(share.environment, share) == list(range(1, 2 * WRITERS * BATCHES + 1))
        state = Environment(plane).texts(share.id)
        assert len(state) == 2 * WRITERS * BATCHES, "nothing that was acknowledged is lost"

    def test_a_writer_that_comes_second_commits_behind_the_first(self, cloud: Environment) -> None:
        share = cloud.share()
        other = share.from_elsewhere()
        seqs: list[int] = []
        cloud.steering.before(ShareStore.append, lambda: seqs.append(other.sync(part("first"), part("second"))))
        assert share.sync(part("third")) == 3
        assert seqs == [2]
        keys = [item.key for record in cloud.store.records(ShareId(share.id), 0) for item in record.items]
        assert keys == [f"part/msg_1/prt_{name}" for name in ("first", "second", "third")]

    def test_a_writer_tries_again_each_time_that_another_is_first(self, cloud: Environment) -> None:
        share = cloud.share()
        other = share.from_elsewhere()
        cloud.steering.before(ShareStore.append, lambda: other.sync(part("other")), times=4)
        assert share.sync(part("mine")) == 5
        assert numbers(cloud, share) == [1, 2, 3, 4, 5]

    def test_a_writer_that_is_never_first_is_refused_with_nothing_stored(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(appending, "CONTENTION", replace(appending.CONTENTION, seconds=-1))
        share = cloud.share()
        other = share.from_elsewhere()
        cloud.steering.before(ShareStore.append, lambda: other.sync(part("other")))
        with pytest.raises(Unavailable) as refused:
            share.sync(part("mine"))
        assert refused.value.code == "contended"
        assert [item.key for item in cloud.snapshots.fold(cloud.row(share.id))[0].items()] == ["part/msg_1/prt_other"]

    def test_a_share_that_goes_while_a_writer_tries_again_takes_nothing_more(self, cloud: Environment) -> None:
        share = cloud.share()
        other = share.from_elsewhere()

        def be_first_and_unshare() -> None:
            other.sync(part("other"))
            other.environment.deletion.unshare(ShareId(share.id), share.secret)

        cloud.steering.before(ShareStore.append, be_first_and_unshare)
        with pytest.raises(Gone):
            share.sync(part("mine"))
        assert len(cloud.plane.rows(share.id, "L#")) == 1

    def test_a_share_that_was_removed_takes_nothing(self, cloud: Environment) -> None:
        share = cloud.share()
        cloud.deletion.unshare(ShareId(share.id), share.secret)
        with pytest.raises(Gone):
            share.sync(part("1"))
        assert cloud.plane.rows(share.id, "L#") == []

    def test_a_share_whose_lifetime_is_over_takes_nothing(self, plane: Plane) -> None:
        share = Environment(plane, lifetime_seconds=-1).share()
        with pytest.raises(Gone):
            share.sync(part("1"))
        assert plane.rows(share.id, "L#") == []

    def test_an_environment_that_remembers_an_old_end_reads_on_from_there(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        other = share.from_elsewhere()
        for n in range(2, 6):
            other.sync(part(str(n)))
        assert share.sync(part("6")) == 6

    def test_the_last_arrival_wins_though_it_was_committed_first(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("x", "later"), at=2000)
        share.from_elsewhere().sync(part("x", "earlier"), at=1000)
        assert Environment(cloud.plane).texts(share.id) == ["later"]

    def test_of_equal_arrivals_the_later_commit_wins(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("x", "first"), at=1000)
        share.from_elsewhere().sync(part("x", "second"), at=1000)
        assert Environment(cloud.plane).texts(share.id) == ["second"]
