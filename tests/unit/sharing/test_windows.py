"""Windows of a conversation and the search in it, from stored chunks and from the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.errors import BadRequest, NotFound
from opencode_cloud.sharing.models import Item
from opencode_cloud.sharing.rendering import outline
from opencode_cloud.sharing.rendering.outline import MessageWindow, pieces
from opencode_cloud.sharing.rendering.transcript import transcribe
from opencode_cloud.sharing.service import outlines, searching
from opencode_cloud.sharing.service.searching import Search, SearchAnswer
from opencode_cloud.sharing.service.windows import Conversation
from opencode_cloud.sharing.store import ObjectStore
from tests.unit.sharing import conversation
from tests.unit.sharing.browser_side import BrowserSide
from tests.unit.sharing.conversation import BEGIN, assistant, item, part, session, tool, user
from tests.unit.sharing.whole import whole_conversation

SHARE = ShareId("S" * 22)


class Objects:
    """Objects in memory. ``ranges`` are those that were read."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.ranges: list[tuple[int, int]] = []

    def put_record(self, _share_id: ShareId, name: str, payload: bytes) -> None:
        self.stored[name] = payload

    def get(self, _share_id: ShareId, name: str) -> bytes:
        return self.stored[name]

    def get_range(self, _share_id: ShareId, name: str, start: int, length: int) -> bytes:
        self.ranges.append((start, length))
        return self.stored[name][start : start + length]


def numbered(items: Sequence[conversation.Item], first: int = 1, at: int = BEGIN) -> list[Item]:
    return [Item(key=each.key, type=each.type, data=each.data, seq=seq, at=at) for seq, each in enumerate(items, first)]


def long(messages: int = 60, parts: int = 3, size: int = 3_000) -> list[conversation.Item]:
    """Return a session of more than one page."""
    items = [session()]
    for number in range(messages):
        make = user if number % 5 == 0 else assistant
        items.append(make(f"msg_{number:03}", BEGIN + number))
        texts = (f"text {number}.{n} " + "x" * size for n in range(parts))
        items += [part(f"msg_{number:03}", f"prt_{n}", "text", text=text) for n, text in enumerate(texts)]
    return items


def stored(
    items: Sequence[Item], tail: Sequence[Item] = (), objects: Objects | None = None
) -> tuple[Conversation, Objects]:
    """Return the conversation of a snapshot of ``items``, and what was published after it."""
    kept = objects or Objects()
    store = cast("ObjectStore", kept)
    assert outlines.write_outline(store, SHARE, "snapshot", items) > 0
    read = outlines.read_outline(store, SHARE, "snapshot")

    def chunks(wanted: Any) -> list[list[Item]]:
        return outlines.read_chunks(store, SHARE, "snapshot", wanted)

    return Conversation(cast("Any", None), 0, "", read, tail, chunks), kept


def test_a_message_may_have_a_member_named_like_the_item_of_all_messages() -> None:
    odd = {"id": "msg_1", "role": "user", "metadata": {}, "parts": [], "messages": [{"id": "msg_9", "text": "no"}]}
    tail = [Item(key="message/msg_1", type="message", data=json.dumps(odd).encode(), seq=9, at=BEGIN + 9)]
    opened, _ = stored(numbered([session(), user("msg_1")]), tail)
    assert [message.id for message in opened.newest().transcript.messages] == ["msg_1"]


def keys(window: MessageWindow) -> list[str]:
    """Return the keys of a window's parts."""
    return [entry.key for message in window.transcript.messages for entry in message.parts]


def back(whole: Conversation, cost: int) -> list[list[str]]:
    """Return the parts of all windows from the newest one back, in the order of the conversation."""
    window = whole.newest(cost)
    found = [keys(window)]
    while window.earlier:
        window = whole.before(window.earlier, cost)
        found.insert(0, keys(window))
    return found


def on(whole: Conversation, cost: int) -> list[list[str]]:
    """Return the parts of all windows from the first one on."""
    window = whole.oldest(cost)
    found = [keys(window)]
    while window.later:
        window = whole.since(window.later, cost)
        found.append(keys(window))
    return found


sizes = st.lists(st.lists(st.integers(0, 90_000), max_size=6), min_size=1, max_size=12)


@given(sizes, st.integers(1, 300_000), st.booleans())
def test_windows_lead_through_the_whole_session_once_in_either_direction(
    messages: list[list[int]], cost: int, snapshot: bool
) -> None:
    items = [session()]
    for number, parts in enumerate(messages):
        items.append(user(f"msg_{number:03}", BEGIN + number))
        items += [part(f"msg_{number:03}", f"prt_{n}", "text", text="x" * size) for n, size in enumerate(parts)]
    whole = stored(numbered(items))[0] if snapshot else whole_conversation(items)
    expected = [each.key for each in items if each.type == "part"]
    shown = [message.id for message in whole.newest(cost).transcript.messages]
    assert len(shown) == len(set(shown)), "a message that was cut is one element of the page"
    assert [key for window in back(whole, cost) for key in window] == expected
    assert [key for window in on(whole, cost) for key in window] == expected


@given(sizes)
def test_pieces_are_small_whatever_a_message_holds(messages: list[list[int]]) -> None:
    items = [user(f"msg_{n}", BEGIN + n) for n in range(len(messages))]
    items += [
        part(f"msg_{n}", f"prt_{k}", "text", text="x" * size)
        for n, parts in enumerate(messages)
        for k, size in enumerate(parts)
    ]
    for piece in pieces(transcribe(items).messages):
        parts = sum(len(message.parts) for message in piece.messages)
        assert piece.cost <= outline.CHUNK_COST + outline.INLINE + 2_000 or parts <= 1


def test_a_short_session_is_one_window() -> None:
    window = whole_conversation(conversation.conversation()).newest()
    assert window.whole
    assert (window.first, window.total) == (0, len(window.transcript.messages))


def test_a_window_of_a_snapshot_is_one_small_read() -> None:
    whole, objects = stored(numbered(long()))
    window = whole.newest(100_000)
    assert len(objects.ranges) == 1
    assert objects.ranges[0][1] < len(objects.stored["snapshot.chunks"])
    assert window.transcript.title == "twenty turns"
    assert (window.total, window.later) == (60, "")
    assert window.transcript.messages[0].id == window.earlier == f"msg_{window.first:03}"


def test_what_was_published_after_the_snapshot_counts() -> None:
    changed = [
        session(title="renamed"),
        part("msg_002", "prt_0", "text", text="changed"),
        part("msg_002", "prt_9", "text", text="added"),
        assistant("msg_002", BEGIN + 2, error={"name": "UnknownError"}),
        user("msg_060", BEGIN + 60),
        part("msg_060", "prt_0", "text", text="new"),
    ]
    whole, _ = stored(numbered(long()), numbered(changed, 1_000, BEGIN + 9))
    window = whole.around("msg_002")
    shown = next(message for message in window.transcript.messages if message.id == "msg_002")
    assert [entry.value["text"] for entry in shown.parts if len(entry.raw) < 200] == ["changed", "added"]
    assert shown.error
    assert window.transcript.title == "renamed"
    newest = whole.newest(1)
    assert keys(newest) == ["part/msg_060/prt_0"]
    assert whole.heads[-1].words == "new"
    assert newest.total == 61


def test_an_update_that_arrived_earlier_changes_nothing() -> None:
    late = part("msg_002", "prt_0", "text", text="overtaken")
    whole, _ = stored(numbered(long()), numbered([late], 1_000, BEGIN - 1))
    assert b"overtaken" not in whole.around("msg_002").transcript.messages[2].parts[0].raw


def test_messages_that_were_taken_back_are_known_in_every_window() -> None:
    items = [session(revert={"messageID": "msg_010"}), *long()[1:]]
    whole, _ = stored(numbered(items))
    assert len(whole.newest(1).undone) == len(whole.newest(1).transcript.messages)
    assert not whole.oldest(1).undone


@pytest.mark.parametrize("cursor", ["msg_x", "", "/", "msg_x/prt_1", "part/msg_001/prt_0"])
def test_a_place_that_does_not_exist_is_not_found(cursor: str) -> None:
    whole = whole_conversation(long())
    for read in (whole.before, whole.since, whole.around):
        with pytest.raises(NotFound) as refused:
            read(cursor)
        assert refused.value.code == "message_not_found"


def test_an_entry_is_read_alone_by_its_key() -> None:
    items = long(parts=9, size=30_000)  # messages that are cut between their parts
    items.append(item("session_diff", [{"file": "a.py"}]))
    whole, objects = stored(numbered(items))
    for key in ("message/msg_007", "part/msg_007/prt_0", "part/msg_007/prt_8", "session_diff"):
        [published] = [each for each in items if each.key == key]
        entries = whole.entries([key], list)
        assert [entry.raw for entry in entries.values()] == [published.data]
    assert len(objects.ranges) == 3
    assert whole.entries(["part/msg_007/prt_9", "message/msg_999", "part/msg_007", "other", ""], list) == {}


def test_entries_of_one_place_are_read_together() -> None:
    whole, objects = stored(numbered(long()))
    keys = ["message/msg_007", "part/msg_007/prt_0"]
    assert whole.entries(keys, list).keys() == set(keys)
    assert len(objects.ranges) == 1


def test_an_entry_is_the_present_one_wherever_it_is_stored() -> None:
    items = [*long(), item("session_diff", [])]
    new = [part("msg_007", "prt_0", "text", text="new"), user("msg_008", BEGIN + 8, agent="new")]
    elsewhere = [
        Item(key=key, type=key.partition("/")[0], data=b"", body=key, seq=900, at=BEGIN + 1)
        for key in ("message/msg_010", "part/msg_010/prt_0", "session_diff")
    ]
    whole, _ = stored(numbered(items), [*numbered(new, 800, BEGIN + 1), *elsewhere])

    def fill(wanted: Sequence[Item]) -> list[Item]:
        return [msgspec.structs.replace(each, data=json.dumps({"body": each.body}).encode()) for each in wanted]

    window = whole.newest()
    entries = whole.entries([each.key for each in (*new, *elsewhere)], fill)
    for published in new:
        assert entries[published.key].raw == published.data
    for each in elsewhere:
        assert json.loads(entries[each.key].raw) == {"body": each.body}
    # A window that was opened before still leaves to its reader what is stored elsewhere.
    assert window.transcript.diff is not None
    assert not window.transcript.diff.inline


def test_large_changes_in_a_snapshot_are_read_from_where_they_are_stored() -> None:
    changes = Item(key="session_diff", type="session_diff", data=b"", body="there", seq=900, at=BEGIN)
    whole, _ = stored([*numbered(long()), changes])
    entries = whole.entries(["session_diff"], lambda wanted: [msgspec.structs.replace(wanted[0], data=b"[1]")])
    assert entries["session_diff"].raw == b"[1]"


def test_a_session_in_one_item_has_no_outline() -> None:
    second = item("messages", {"messages": [{"id": "a", "type": "user", "text": "hello"}]})
    assert outlines.write_outline(cast("ObjectStore", Objects()), SHARE, "snapshot", numbered([second])) == 0


def test_sessions_of_the_first_generation_have_one() -> None:
    parts = [{"type": "text", "text": f"number {n}"} for n in range(5)]
    first = item("message", {"id": "a", "role": "user", "metadata": {"time": {"created": 1}}, "parts": parts})
    window = stored(numbered([first]))[0].newest()
    assert [entry.value["text"] for entry in window.transcript.messages[0].parts] == [f"number {n}" for n in range(5)]


def found(whole: Conversation, words: str, fill: Callable[[Any], Any] = lambda items: items) -> SearchAnswer:
    return Search(whole, fill).find(words)


def test_the_search_reads_every_message_of_the_snapshot_and_after_it() -> None:
    after = numbered([part("msg_059", "prt_8", "text", text="A Needle after")], 1_000)
    items = [*long(), part("msg_001", "prt_7", "text", text="the needle is here")]
    whole, _ = stored(numbered(items), after)
    result = found(whole, "NEEDLE")
    assert [match.anchor for match in result.matches] == ["p-msg_001/prt_7", "p-msg_059/prt_8"]
    assert result.matches[0].snippet == "the needle is here"
    assert (result.next, result.searched) == ("", result.total)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (tool(output="ANSI \x1b[31mred\x1b[0m words"), "red words"),
        (tool(metadata={"diff": "+added line"}), "added line"),
        (tool(input={"command": 'say "quoted"'}), 'say "quoted"'),
        (part("msg_2", "prt_1", "text", text="größer 漢字"), "GRÖßER"),
        (part("msg_2", "prt_1", "text", text="größer 漢字"), "漢字"),
        (part("msg_2", "prt_1", "file", filename="a b.png", mime="image/png", url=""), "a b.png"),
        (part("msg_2", "prt_1", "novel", thing="inside"), "inside"),
        (assistant(error={"name": "Overloaded", "data": {"message": "try later"}}), "try later"),
    ],
)
def test_the_search_finds_what_a_reader_sees(made: conversation.Item, words: str) -> None:
    assert len(found(whole_conversation(numbered([assistant(), made])), words).matches) == 1


def test_the_search_does_not_find_names_of_fields_or_hidden_text() -> None:
    whole = whole_conversation([user(), part("msg_1", "prt_1", "text", text="hidden words", synthetic=True)])
    assert found(whole, "hidden words").matches == found(whole, "messageID").matches == []


def test_the_search_reads_bodies_that_are_stored_elsewhere() -> None:
    large = Item(key="part/msg_1/prt_1", type="part", body="items/1", seq=2, at=BEGIN)
    text = json.dumps({"type": "text", "text": "far away"}).encode()
    filled: list[Item] = []

    def fill(items: Sequence[Item]) -> list[Item]:
        filled.extend(items)
        return [msgspec.structs.replace(each, data=text) for each in items]

    for whole in (whole_conversation([user(), large]), stored([*numbered([user()]), large])[0]):
        assert len(found(whole, "far away", fill).matches) == 1
    assert [each.body for each in filled] == ["items/1"] * 2


def test_a_long_search_goes_on_from_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "GROUP_BYTES", 1)
    whole, _ = stored(numbered(long()))
    search, anchors, cursor = Search(whole, lambda items: items), list[str](), ""
    for _ in range(whole.chunks):
        result = search.find("text", cursor, seconds=0)
        assert result.matches
        anchors += [match.anchor for match in result.matches]
        cursor = result.next
        if not cursor:
            break
    assert anchors == [f"p-msg_{number:03}/prt_{n}" for number in range(60) for n in range(3)]


def test_an_answer_to_a_search_ends_after_its_most_matches_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searching, "MATCHES", 20)
    for whole in (stored(numbered(long()))[0], whole_conversation(numbered(long()))):
        search, anchors, cursor, answers = Search(whole, lambda items: items), list[str](), "", 0
        while cursor or not answers:
            result = search.find("text", cursor)
            anchors += [match.anchor for match in result.matches]
            assert 20 <= len(result.matches) < 20 + 64_000 // 3_000 or not result.next
            cursor, answers = result.next, answers + 1
        assert answers > 3
        assert anchors == [f"p-msg_{number:03}/prt_{n}" for number in range(60) for n in range(3)]


def test_a_search_in_a_cut_message_goes_on_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MATCHES", 1)
    items = [assistant(error={"name": "text", "data": {"message": "text"}}), *long(0)]
    items += [part("msg_2", f"prt_{n:02}", "text", text="text " + "x" * 30_000) for n in range(12)]
    whole, _ = stored(numbered(items))
    search, anchors, cursor, answers = Search(whole, lambda items: items), list[str](), "", 0
    while cursor or not answers:
        result = search.find("text", cursor)
        anchors += [match.anchor for match in result.matches]
        cursor, answers = result.next, answers + 1
    assert answers > 3
    assert list(dict.fromkeys(anchors)) == ["m-msg_2", *(f"p-msg_2/prt_{n:02}" for n in range(12))]


@pytest.mark.parametrize("words", ["", "x", "x" * 201])
def test_a_search_needs_some_characters(words: str) -> None:
    with pytest.raises(BadRequest):
        found(whole_conversation([user()]), words)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserSide]:
    started = BrowserSide(tmp_path_factory.mktemp("modules"))
    yield started
    started.close()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("msg_000000000001Aa", "msg_000000000002Aa"),
        ("msg_00000000000fAa", "msg_000000000010Aa"),
        ("msg_ffffffffffffAa", "msg_000000000001Aa"),  # the time field of ids wraps
        ("msg_f00000000000Aa", "msg_0fffffffffffAa"),
        ("msg_000000000001Aa", "msg_000000000001Ab"),
        ("1", "2"),
    ],
)
def test_the_script_knows_which_of_two_messages_is_older(browser: BrowserSide, one: str, other: str) -> None:
    assert browser.call("transcript", "isOlder", one, other)
    assert not browser.call("transcript", "isOlder", other, one)
    assert not browser.call("transcript", "isOlder", one, one)
