"""Claim checks: a body that is too large for a row is stored in the bucket first, and reads like any other body."""

from __future__ import annotations

import json
import zlib

import pytest
from msgspec.structs import replace

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.sharing.service import appending
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.store import ObjectStore, ShareStore
from opencode_cloud.sharing.store.log import ITEM_BODY_BYTES, ROW_PAYLOAD_BYTES
from tests.emulator.sharing.plane import Environment, SharedSession, document_of, incompressible
from tests.integration.publisher import part

DYNAMODB_ROW_BYTES = 400 * 1024


def records(cloud: Environment, share: SharedSession) -> list[dict[str, dict[str, str]]]:
    return cloud.plane.rows(share.id, "L#")


def large_batch() -> list[dict[str, object]]:
    """Return items that are small, but together too large for a row."""
    return [part(str(n), incompressible(100_000)) for n in range(8)]


class TestItems:
    def test_a_body_of_more_than_256_kb_is_an_object_of_its_own(self, cloud: Environment) -> None:
        share, text = cloud.share(), "x" * (ITEM_BODY_BYTES + 1)
        share.sync(part("large", text), part("small", "small"))
        (name,) = cloud.plane.objects(share.id)
        assert name.startswith("items/")
        (record,) = cloud.store.records(ShareId(share.id), 0)
        assert [(item.body, len(item.data) > 0) for item in record.items] == [(name, False), (None, True)]
        assert (
            cloud.objects.get_body(ShareId(share.id), name)
            == json.dumps(part("large", text)["data"], separators=(",", ":")).encode()
        )

    def test_a_body_of_256_kb_stays_in_its_record(self, cloud: Environment) -> None:
        share = cloud.share()
        overhead = len(json.dumps(part("1", "")["data"], separators=(",", ":")))
        share.sync(part("1", "x" * (ITEM_BODY_BYTES - overhead)))
        assert cloud.plane.objects(share.id) == []

    def test_a_body_that_is_sent_again_is_stored_once(self, cloud: Environment) -> None:
        share, text = cloud.share(), incompressible(400_000)
        for _ in range(3):
            share.sync(part("1", text))
        assert len(set(cloud.plane.objects(share.id))) == 1

    def test_readers_get_it_by_reference_and_its_address_gives_it(self, cloud: Environment) -> None:
        share, text = cloud.share(), incompressible(400_000)
        share.sync(part("1", text))
        document = document_of(cloud.reading.items(ShareId(share.id), Visitor()))
        assert document["items"][0]["href"] == f"/share/{share.id}/items/1"
        item = document_of(cloud.reading.item(ShareId(share.id), Visitor(), 1))
        assert item["data"]["text"] == text

    def test_its_session_id_is_replaced_too(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1", share.session_id * 20_000))
        core = share.session_id.removeprefix("ses_").encode()
        assert cloud.plane.objects(share.id)
        assert not [body for body in cloud.plane.stored() if core in body]


class TestRecords:
    def test_a_batch_of_more_than_300_kb_is_an_object(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(*large_batch())
        (row,) = records(cloud, share)
        assert "payload" not in row
        assert cloud.plane.objects(share.id) == [row["claim"]["S"]]
        assert row["claim"]["S"].startswith("records/")
        assert len(cloud.texts(share.id)) == 8

    def test_no_row_is_larger_than_dynamodb_takes(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(*[part(str(n), incompressible(200_000)) for n in range(2)])
        (row,) = records(cloud, share)
        assert len(row["payload"]["B"]) <= ROW_PAYLOAD_BYTES < DYNAMODB_ROW_BYTES

    def test_a_batch_that_compresses_well_stays_in_its_row(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(*[part(str(n), "x" * 200_000) for n in range(10)])
        (row,) = records(cloud, share)
        assert len(zlib.decompress(row["payload"]["B"])) > 2_000_000  # pyright: ignore[reportArgumentType]
        assert cloud.plane.objects(share.id) == []

    def test_the_object_is_there_before_the_row_that_names_it(self, cloud: Environment) -> None:
        share = cloud.share()
        seen: list[tuple[int, int]] = []
        cloud.steering.before(
            ShareStore.append,
            lambda: seen.append((len(cloud.plane.objects(share.id)), len(records(cloud, share)))),
        )
        share.sync(*large_batch(), part("large", incompressible(400_000)))
        assert seen == [(2, 0)], "the body, the record, and no row yet"

    def test_a_reader_in_the_middle_of_the_commit_sees_all_of_a_batch_or_nothing(self, cloud: Environment) -> None:
        share, reader = cloud.share(), Environment(cloud.plane)
        seen: list[list[str]] = []
        for step in (ObjectStore.put_record, ShareStore.append):
            cloud.steering.before(step, lambda: seen.append(reader.texts(share.id)))
        cloud.steering.after(ShareStore.append, lambda: seen.append(reader.texts(share.id)))
        share.sync(*large_batch())
        assert [len(texts) for texts in seen] == [0, 0, 8]

    def test_is_written_once_however_often_the_writer_tries_again(self, cloud: Environment) -> None:
        share = cloud.share()
        other = share.from_elsewhere()
        cloud.steering.before(ShareStore.append, lambda: other.sync(part("other")), times=3)
        assert share.sync(*large_batch()) == 11
        assert len(cloud.plane.objects(share.id)) == 1

    def test_of_a_writer_that_was_never_first_is_named_by_no_row(
        self, cloud: Environment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(appending, "CONTENTION", replace(appending.CONTENTION, seconds=-1))
        share = cloud.share()
        other = share.from_elsewhere()
        cloud.steering.before(ShareStore.append, lambda: other.sync(part("other")))
        with pytest.raises(Unavailable):
            share.sync(*large_batch())
        assert [row for row in records(cloud, share) if "claim" in row] == []
        cloud.deletion.unshare(ShareId(share.id), share.secret)
        cloud.deletion.purge(ShareId(share.id), 1)
        assert cloud.plane.objects(share.id) == [], "it goes with the share"

    def test_the_size_of_the_log_counts_what_is_in_the_bucket(self, cloud: Environment) -> None:
        share = cloud.share()
        share.sync(part("1"))
        share.sync(*large_batch())
        first, second = (int(row["total"]["N"]) for row in records(cloud, share))
        assert second - first > ROW_PAYLOAD_BYTES
