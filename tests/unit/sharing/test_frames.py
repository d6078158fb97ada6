"""Frames stay within the gateway's limits, contain all items, and cover the gap completely."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.sockets import FRAME_BYTES, MESSAGE_BYTES
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.protocol.frames import legacy_frame, legacy_order, live_frames

SIZES = st.lists(st.sampled_from([1, 100, 5_000, 20_000, 32_000, 32_700, 40_000, 200_000]), max_size=12)


def items(sizes: list[int], step: int = 1) -> list[Item]:
    return [
        Item(key=f"part/m/{n}", type="part", seq=n * step, at=n, data=json.dumps({"t": "x" * size}).encode())
        for n, size in enumerate(sizes, 1)
    ]


@settings(deadline=None)
@given(SIZES, st.integers(1, 3), st.integers(0, 5))
def test_frames_are_small_complete_and_follow_each_other(sizes: list[int], step: int, beyond: int) -> None:
    sent = items(sizes, step)
    upto = (sent[-1].seq if sent else 0) + beyond
    frames = list(live_frames(ShareId("share"), 0, sent, upto))
    assert all(len(frame) <= FRAME_BYTES for frame in frames)
    decoded = [json.loads(frame) for frame in frames]
    cursor = 0
    for frame in decoded:
        assert frame["after"] == cursor
        assert frame["seq"] >= cursor
        cursor = frame["seq"]
    assert cursor == upto
    carried = [item for frame in decoded for item in frame["items"]]
    assert [item["seq"] for item in carried] == [item.seq for item in sent]
    for item, source in zip(carried, sent, strict=True):
        assert item.get("href") == f"/share/share/items/{source.seq}" or item["data"] == json.loads(source.data)


def test_nothing_missing_needs_no_frame() -> None:
    assert list(live_frames(ShareId("share"), 7, [], 7)) == []


def test_an_item_over_a_frame_goes_by_reference() -> None:
    frame = json.loads(next(live_frames(ShareId("share"), 0, items([40_000]), 1)))
    assert frame["items"] == [{"seq": 1, "at": 1, "key": "part/m/1", "type": "part", "href": "/share/share/items/1"}]


def test_a_claim_checked_item_goes_by_reference() -> None:
    item = Item(key="part/m/1", type="part", seq=1, at=1, body="items/abc")
    assert b"items/abc" not in next(live_frames(ShareId("share"), 0, [item], 1))


def test_a_legacy_frame_carries_its_key_and_content() -> None:
    frame = legacy_frame(ShareId("share"), Item(key="message/m", type="message", data=b'{"id":"m"}'), "ses_p")
    assert frame == b'{"key":"session/message/ses_p/m","content":{"id":"m"}}'


def test_a_legacy_item_over_a_message_goes_by_reference() -> None:
    frame = legacy_frame(ShareId("share"), items([MESSAGE_BYTES])[0], "ses_p")
    assert frame is not None
    assert json.loads(frame) == {"key": "session/part/ses_p/m/1", "href": "/share/share/items/1"}


def test_a_legacy_replay_begins_with_the_session_and_ends_with_the_parts() -> None:
    mixed = [Item(key=k, type=k.split("/")[0]) for k in ("part/a/b", "message/b", "session", "message/a")]
    assert [item.key for item in sorted(mixed, key=legacy_order)] == ["session", "message/a", "message/b", "part/a/b"]
