"""Reading: every document is the fold of the log. Large documents come in parts or by reference."""

from __future__ import annotations

import gzip
import json
import urllib.request
from typing import Any

import pytest

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import Conflict, NotFound
from opencode_cloud.sharing.service import reading, snapshots
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.reading import Redirect, ShareDocument
from opencode_cloud.sharing.store import ShareStore, objects
from tests.emulator.sharing.plane import Environment, SharedSession, document_of, incompressible
from tests.integration.publisher import message, part, session
from tests.waiting import PATIENCE

ANYONE = Visitor()


def fetch(answer: ShareDocument | Redirect) -> Any:
    """Follow a redirect as a browser does, and return the JSON."""
    assert isinstance(answer, Redirect)
    with urllib.request.urlopen(answer.address, timeout=PATIENCE) as response:
        assert response.headers["cache-control"] == "private, no-store"
        return json.loads(gzip.decompress(response.read()))


class TestItems:
    def test_a_reader_gets_what_is_new_and_the_number_to_ask_from_next(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"), part("2"), at=1000)
        share.sync(part("3"), at=2000)
        document = document_of(cloud.reading.items(ShareId(share.id), ANYONE, 1))
        assert [(item["seq"], item["at"]) for item in document["items"]] == [(2, 1000), (3, 2000)]
        assert (document["seq"], document["more"]) == (3, False)
        rest = document_of(cloud.reading.items(ShareId(share.id), ANYONE, 3))
        assert (rest["items"], rest["seq"]) == ([], 3)

    def test_a_long_gap_comes_in_parts_that_leave_nothing_out(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "PART_BYTES", 2500)
        share = cloud.share()
        for n in range(6):
            share.sync(part(str(n), "x" * 1000))
        seen: list[int] = []
        after, parts, more = 0, 0, True
        while more:
            document = document_of(cloud.reading.items(ShareId(share.id), ANYONE, after))
            seen += [item["seq"] for item in document["items"]]
            after, more, parts = document["seq"], document["more"], parts + 1
        assert seen == [1, 2, 3, 4, 5, 6]
        assert parts == 3

    def test_a_batch_that_is_larger_than_a_part_comes_as_a_whole(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "PART_BYTES", 10)
        share = cloud.share()
        share.sync(part("1", "x" * 100), part("2"))
        assert len(document_of(cloud.reading.items(ShareId(share.id), ANYONE))["items"]) == 2

    def test_a_large_state_is_a_redirect_to_the_snapshot(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ANSWER_BYTES", 500)
        share = cloud.share()
        share.sync(part("1", "x" * 1000))
        cloud.snapshots.take(cloud.row(share.id))
        share.sync(part("2"))
        document = fetch(cloud.reading.items(ShareId(share.id), ANYONE))
        assert ([item["seq"] for item in document["items"]], document["more"]) == ([1], True)
        rest = document_of(cloud.reading.items(ShareId(share.id), ANYONE, document["seq"]))
        assert [item["seq"] for item in rest["items"]] == [2]

    def test_a_short_gap_within_a_snapshot_is_read_from_the_log(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        share = cloud.share()
        for n in range(4):
            share.sync(part(str(n), "x" * 1000))
        cloud.snapshots.take(cloud.row(share.id))
        short = document_of(cloud.reading.items(share.id, ANYONE, 2))
        assert ([item["seq"] for item in short["items"]], short["seq"], short["more"]) == ([3, 4], 4, False)
        monkeypatch.setattr(reading, "PART_BYTES", 1500)
        long = document_of(cloud.reading.items(share.id, ANYONE, 2))
        assert ([item["seq"] for item in long["items"]], long["seq"], long["more"]) == ([1, 2, 3, 4], 4, True)

    def test_an_answer_that_is_too_large_is_read_from_the_bucket(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ANSWER_BYTES", 500)
        share = cloud.share()
        share.sync(part("1", "x" * 1000))
        assert [item["seq"] for item in fetch(cloud.reading.items(ShareId(share.id), ANYONE))["items"]] == [1]
        assert fetch(cloud.reading.data(ShareId(share.id), ANYONE))[0]["data"]["text"] == "x" * 1000

    def test_large_imports_have_ids_of_their_own_and_are_not_kept(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "ANSWER_BYTES", 500)
        share = cloud.share()
        share.sync(session(share.session_id), message("1"), part("1", "x" * 1000))
        copies = [fetch(cloud.reading.data(ShareId(share.id), ANYONE)) for _ in range(3)]
        assert len({item["data"]["id"] for copy in copies for item in copy}) == 9
        assert len(cloud.plane.objects(share.id, "copies/")) == 3
        later = now_seconds() + snapshots.COPY_SECONDS + 2
        monkeypatch.setattr(objects, "now_seconds", lambda: later)
        cloud.reading.data(ShareId(share.id), ANYONE)
        assert len(cloud.plane.objects(share.id, "copies/")) == 1

    def test_one_item_is_read_by_its_number_from_within_its_batch(self, cloud: Environment) -> None:
        share, text = cloud.share(), incompressible(400_000)
        share.sync(part("1"), part("2", text), part("3"))
        share.sync(part("4"))
        for seq, expected in ((1, ""), (2, text), (4, "")):
            item = document_of(cloud.reading.item(ShareId(share.id), ANYONE, seq))
            assert (item["seq"], item["data"]["text"]) == (seq, expected)
        for seq in (0, 5):
            with pytest.raises(NotFound) as missing:
                cloud.reading.item(ShareId(share.id), ANYONE, seq)
            assert missing.value.code == "item_not_found"

    def test_above_the_end_are_refused(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        cloud.reading.items(ShareId(share.id), ANYONE, 1)
        for after in (2, 5000, 10**30):
            with pytest.raises(Conflict, match="above the end"):
                cloud.reading.items(ShareId(share.id), ANYONE, after)


class TestState:
    def test_the_last_arrival_of_each_key_wins_whatever_the_order_of_commits(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("x", "2"), at=2000)
        share.sync(part("x", "1"), part("y", "1"), at=1000)
        share.sync(part("x", "3"), at=3000)
        share.sync(part("y", "0"), at=999)
        assert sorted(cloud.texts(share.id)) == ["1", "3"]

    def test_the_clients_import_has_the_session_first_and_bodies_inline(self, cloud: Environment) -> None:
        share, text = cloud.share(), incompressible(400_000)
        share.sync(part("1", text), message("1"))
        share.sync(session(share.session_id, "a title"))
        document = document_of(cloud.reading.data(ShareId(share.id), ANYONE))
        assert [item["type"] for item in document] == ["session", "part", "message"]
        assert document[1]["data"]["text"] == text

    def test_bodies_leave_byte_for_byte_as_they_came(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync({"type": "model", "data": {"n": 1.50, "e": 1e3, "u": "é\u2028", "z": None}})
        state = cloud.reading.state(ShareId(share.id), ANYONE)
        assert state.items[0].data == '{"n":1.5,"e":1000.0,"u":"é\u2028","z":null}'.encode()

    def test_the_legacy_document_puts_parts_into_their_messages(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1", "one", "msg_a"), message("a"), part("lost", "no message", "msg_b"))
        share.sync(session(share.session_id, "a title"))
        items = cloud.reading.state(ShareId(share.id), ANYONE).items
        document = json.loads(reading.legacy_data(items))
        assert document["info"]["title"] == "a title"
        assert [p["text"] for p in document["messages"]["msg_a"]["parts"]] == ["one"]
        assert list(document["messages"]) == ["msg_a"]


class TestViews:
    @pytest.fixture
    def share(self, cloud: Environment) -> SharedSession:
        people = cloud.plane.people
        workspace = people.workspace()
        share = cloud.share(actor=cloud.actor(people.member(workspace), workspace))
        share.sync(part("1"))
        return share

    def views(self, cloud: Environment, share: SharedSession) -> int:
        return cloud.store.listed([share.id])[0].views

    def test_each_reading_of_the_state_of_a_share_with_an_owner_is_counted(
        self, cloud: Environment, share: SharedSession
    ) -> None:
        for _ in range(3):
            cloud.reading.state(ShareId(share.id), ANYONE)
        cloud.reading.items(ShareId(share.id), ANYONE)
        assert self.views(cloud, share) == 3

    def test_a_view_that_cannot_be_counted_is_read_all_the_same(self, cloud: Environment, share: SharedSession) -> None:
        def fail() -> None:
            raise RuntimeError("throttled")

        cloud.steering.before(ShareStore.count_view, fail)
        assert len(cloud.reading.state(ShareId(share.id), ANYONE).items) == 1
        assert self.views(cloud, share) == 0

    def test_shares_without_an_owner_are_not_counted(self, cloud: Environment) -> None:
        share = cloud.share()
        cloud.reading.state(ShareId(share.id), ANYONE)
        assert cloud.plane.rows(share.id, "C#") == []
