"""The rules of the protocol as properties: fold, cursor, frames."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud_client.errors import ProtocolError
from opencode_cloud_client.protocol import (
    AckFrame,
    ErrorFrame,
    Item,
    ItemsFrame,
    ReadyFrame,
    ShareState,
    SnapshotFrame,
    UnknownFrame,
    Viewer,
    decode,
    decode_document,
    decode_frame,
    encode,
)

SHARE = "s"

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def logs(draw: st.DrawFn) -> list[Item]:
    """A share's log: numbers without gaps, few keys, arrival times that do not follow the numbers."""
    size = draw(st.integers(1, 25))
    return [
        Item(seq, draw(st.integers(0, 6)), draw(st.sampled_from("abcd")), "part", data=seq)
        for seq in range(1, size + 1)
    ]


def fold(items: list[Item]) -> dict[str, Item]:
    """The state by definition: per key the item with the largest (at, seq)."""
    state: dict[str, Item] = {}
    for item in sorted(items, key=lambda item: (item.at, item.seq)):
        state[item.key] = item
    return state


@given(logs(), st.data())
def test_fold_does_not_mind_order_or_repetition(log: list[Item], data: st.DataObject) -> None:
    state = ShareState(SHARE)
    for item in [*data.draw(st.lists(st.sampled_from(log))), *data.draw(st.permutations(log))]:
        state.apply(item)
    assert state.items == fold(log)


@given(logs())
def test_changes_name_what_they_replace(log: list[Item]) -> None:
    state, seen = ShareState(SHARE), dict[str, Item]()
    for item in log:
        change = state.apply(item)
        if change is not None:
            assert change.previous == seen.get(item.key)
            seen[item.key] = change.item
    assert seen == fold(log)


@st.composite
def journeys(draw: st.DrawFn) -> tuple[list[Item], list[tuple[int, int]]]:
    """A log and the ranges (after, seq] of frames that reach a viewer: any subset, order and repetition."""
    log = draw(logs())
    cuts = sorted(draw(st.sets(st.integers(1, len(log)))) | {0, len(log)})
    frames = list(itertools.pairwise(cuts))
    return log, draw(st.lists(st.sampled_from(frames), max_size=2 * len(frames)))


@given(journeys())
def test_cursor_claims_only_what_was_received(journey: tuple[list[Item], list[tuple[int, int]]]) -> None:
    log, frames = journey
    viewer = Viewer(ShareState(SHARE))
    received: set[int] = set()
    for after, seq in frames:
        before = viewer.state.cursor
        viewer.mention(ItemsFrame(after, seq, ()))
        viewer.take_items(after, seq, viewer.news(log[after:seq]))
        received.update(range(after + 1, seq + 1))
        assert viewer.state.cursor >= before
        assert set(range(1, viewer.state.cursor + 1)) <= received
        assert viewer.behind == (received != set(range(1, viewer.state.cursor + 1)))
    assert viewer.state.items == fold([item for item in log if item.seq in received])


@given(journeys(), st.booleans())
def test_one_resume_heals_everything(journey: tuple[list[Item], list[tuple[int, int]]], folded: bool) -> None:
    log, frames = journey
    viewer = Viewer(ShareState(SHARE))
    for after, seq in frames:
        viewer.mention(ItemsFrame(after, seq, ()))
        viewer.take_items(after, seq, log[after:seq])
    after = json.loads(viewer.resume())["after"]
    missed = [item for item in log if item.seq > after]
    answer = list(fold(missed).values()) if folded else missed  # a server may leave out what is superseded
    viewer.take_items(after, len(log), answer)
    viewer.mention(ReadyFrame(len(log)))
    viewer.take_ready()
    assert viewer.live
    assert not viewer.needs_resume
    assert viewer.state.cursor == len(log)
    assert viewer.state.items == fold(log)


@given(logs(), st.integers(0, 30), st.integers(0, 30))
def test_document_older_than_promised_needs_a_resume(log: list[Item], end: int, promised: int) -> None:
    end = min(end, len(log))
    viewer = Viewer(ShareState(SHARE))
    viewer.resume()
    viewer.mention(SnapshotFrame(promised, ""))
    document = decode_document(document_bytes(list(fold(log[:end]).values()), end))
    viewer.take_document(document, viewer.news(document.items))
    assert viewer.state.cursor == end
    assert viewer.state.items == fold(log[:end])
    assert viewer.behind == (end < promised)
    assert viewer.needs_resume


def document_bytes(items: list[Item], seq: int) -> bytes:
    fields = [{"seq": i.seq, "at": i.at, "key": i.key, "type": i.type, "data": i.data} for i in items]
    return encode({"schema": 1, "share": SHARE, "seq": seq, "items": fields})


def test_answers_that_bring_nothing_are_counted() -> None:
    viewer = Viewer(ShareState(SHARE))
    for expected in (1, 2, 3):
        viewer.resume()
        viewer.mention(ReadyFrame(5))
        viewer.take_ready()
        assert viewer.fruitless == expected
    viewer.connected()
    assert viewer.fruitless == 0


@given(json_values)
def test_any_json_is_a_frame_or_a_protocol_error(value: Any) -> None:
    try:
        decode_frame(encode(value))
    except ProtocolError:
        assert not isinstance(value, dict) or "type" in value


@given(st.binary())
def test_any_bytes_are_a_frame_or_a_protocol_error(raw: bytes) -> None:
    try:
        decode_frame(raw)
        decode_document(raw)
    except ProtocolError:
        pass


@given(json_values)
def test_json_survives(value: Any) -> None:
    assert decode(encode(value)) == value


def test_half_a_surrogate_pair_survives() -> None:
    assert decode(encode({"text": "\ud83d"})) == {"text": "\ud83d"}
    encode({"text": "\ud83d"}).decode()


def test_deep_nesting_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        decode(b"[" * 200_000)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "items", "after": 0, "seq": 1},
        {"type": "items", "after": 0, "seq": "1", "items": []},
        {"type": "items", "after": 0, "seq": True, "items": []},
        {"type": "items", "after": 0, "seq": 1, "items": [{"seq": 1, "at": 1, "key": "k", "type": "part"}]},
        {"type": "items", "after": 0, "seq": 1, "items": [{"seq": 1, "at": 1, "key": "k", "type": "part", "href": 1}]},
        {"type": "ready", "seq": -1},
        {"type": "snapshot", "seq": 1},
        {"type": "ack", "seq": 1},
        {},
        [],
    ],
)
def test_malformed_frames_are_refused(frame: object) -> None:
    if frame == {}:
        assert decode_frame(encode(frame)) == UnknownFrame("None")
        return
    with pytest.raises(ProtocolError):
        decode_frame(encode(frame))


def test_frames_that_may_come() -> None:
    assert decode_frame('{"type":"ack","id":"7","seq":3}') == AckFrame("7", 3)
    assert decode_frame('{"type":"error","code":"c","message":"m","id":null,"status":403}') == ErrorFrame(
        "c", "m", None, 403
    )
    assert decode_frame('{"message":"Internal server error","requestId":"x"}') == ErrorFrame(
        "gateway", "Internal server error", None, 502
    )
    assert decode_frame('{"type":"later","seq":"?"}') == UnknownFrame("later")


def test_unknown_document_schema_is_refused() -> None:
    with pytest.raises(ProtocolError, match="schema 2"):
        decode_document(b'{"schema":2,"share":"s","seq":0,"items":[]}')


def test_data_is_what_import_reads() -> None:
    state = ShareState(SHARE)
    state.apply(Item(1, 1, "session", "session", {"id": "x"}))
    state.apply(Item(2, 1, "message/m", "message", None))
    assert state.data() == [{"type": "message", "data": None}, {"type": "session", "data": {"id": "x"}}]
