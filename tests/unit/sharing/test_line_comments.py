"""Comments on lines of changes: members name lines that the page shows, and readers learn when these have changed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from opencode_cloud.sharing.models import Item, Position
from opencode_cloud.sharing.protocol.comments import LONGEST_QUOTE, MOST_LINES
from opencode_cloud.sharing.store import rows
from tests.unit.aws import Cloud
from tests.unit.sharing.redaction.secrets import FORMATS, Draw
from tests.unit.sharing.test_comments import COLLEAGUE, NOBODY, OWNER, PATH, Room
from tests.unit.sharing.test_owner_panel import SHARE

PART = "part/msg_1/prt_1"
PATCH = """--- src/app.py
+++ src/app.py
@@ -38,4 +38,4 @@
 def total(items):
     result = 0
-    return 0
+    return result
 # end
"""
LINE = {"file": "src/app.py", "first": 40}


def edit(patch: str = PATCH, **metadata: Any) -> Item:
    state = {"status": "completed", "input": {}, "metadata": {"diff": patch, **metadata}}
    part = {"id": "prt_1", "messageID": "msg_1", "type": "tool", "tool": "edit", "state": state}
    return Item(key=PART, type="part", data=json.dumps(part).encode())


def change(patch: str = PATCH, file: str = "src/app.py") -> dict[str, Any]:
    return {"file": file, "patch": patch, "additions": 1, "deletions": 1}


class Review(Room):
    """A share with an edit, and its comments on lines."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.facts: list[dict[str, Any]] = []
        self.open()
        self.publish(edit())

    def record(self, _actor: Any, action: str, *_: object, **facts: Any) -> None:
        self.audited.append(action)
        self.facts.append(facts["after"])

    def publish(self, *items: Item) -> None:
        end = max((record.last for record in self.store.records(SHARE.id, 0)), default=0)
        total = max((record.total for record in self.store.records(SHARE.id, 0)), default=0)
        payload = self.store.prepare(SHARE.id, items)
        assert self.store.append(SHARE.id, Position(end, total), 10 + end, payload)

    def mark(self, lines: dict[str, Any], text: str = "Why?", item: str = PART, cookie: str = COLLEAGUE) -> Any:
        return self.ask("POST", PATH, cookie, {"text": text, "item": item, "lines": lines})

    def lines(self) -> dict[str, Any]:
        [comment] = self.read()
        return comment["lines"]


@pytest.fixture
def review(cloud: Cloud) -> Review:
    return Review(cloud)


def test_a_comment_names_a_line_and_keeps_its_text(review: Review) -> None:
    status, body = review.mark(LINE)
    assert status == 201
    [comment] = review.read()
    assert comment == body["comment"]
    place = {"file": "src/app.py", "first": 40, "last": 40, "side": "new", "change": 1}
    assert comment["lines"] == {**place, "quote": "    return result", "length": 17, "outdated": False}


def test_a_comment_names_a_range_of_the_old_side(review: Review) -> None:
    assert review.mark({"file": "src/app.py", "first": 39, "last": 41, "side": "old"})[0] == 201
    assert review.lines()["quote"] == "    result = 0\n    return 0\n# end"


@pytest.mark.parametrize("key", ["message/msg_1", "session_diff"])
def test_changes_of_a_message_and_of_the_session_take_comments(review: Review, key: str) -> None:
    message = {"id": "msg_1", "role": "user", "summary": {"diffs": [change()]}}
    review.publish(
        Item(key="message/msg_1", type="message", data=json.dumps(message).encode()),
        Item(key="session_diff", type="session_diff", data=json.dumps([change()]).encode()),
    )
    assert review.mark(LINE, item=key)[0] == 201
    assert review.lines()["quote"] == "    return result"
    where = {"message/msg_1": "?at=msg_1#m-msg_1", "session_diff": "#changes"}[key]
    assert f'href="/share/{SHARE.id}{where}">line 40 of src/app.py</a>' in review.page()["body"]


@pytest.mark.parametrize(
    ("item", "lines", "words"),
    [
        (PART, {"first": 42}, "shows no line 42 on its new side"),
        (PART, {"first": 0}, "shows no line 0"),
        (PART, {"first": 41, "last": 42}, "shows no line 42"),
        (PART, {"file": "src/other.py"}, "shows no such change"),
        (PART, {"change": 2}, "shows no such change"),
        (PART, {"change": 0}, "shows no such change"),
        (PART, {"first": 40, "last": 39}, "Name 1 to 50 lines"),
        (PART, {"first": 1, "last": MOST_LINES + 1}, "Name 1 to 50 lines"),
        ("message/msg_1", {}, "shows no changes of files"),
        ("part/msg_1/prt_9", {}, "shows no changes of files"),
        ("part/msg_9/prt_1", {}, "shows no changes of files"),
        ("session_diff", {}, "shows no changes of files"),
        ("", {}, "shows no changes of files"),
        ("other/thing", {}, "shows no changes of files"),
    ],
)
def test_lines_that_the_page_does_not_show_are_refused_with_the_reason(
    review: Review, item: str, lines: dict[str, Any], words: str
) -> None:
    status, body = review.mark({**LINE, **lines}, item=item)
    assert (status, body["error"]) == (400, "invalid_lines")
    assert words in body["message"]
    assert review.read() == []


def test_an_unknown_side_is_refused(review: Review) -> None:
    assert review.mark({**LINE, "side": "left"})[1]["error"] == "invalid_body"


def test_only_members_comment_on_lines(review: Review) -> None:
    assert review.mark(LINE, cookie=NOBODY)[0] == 401


def test_a_comment_on_other_text_than_the_member_saw_is_refused(review: Review) -> None:
    assert review.mark({**LINE, "quote": "    return result"})[0] == 201
    status, body = review.mark({**LINE, "quote": "    return 0"})
    assert (status, body["error"]) == (409, "lines_changed")
    assert len(review.read()) == 1


@pytest.mark.parametrize(
    ("patch", "outdated"),
    [
        (PATCH.replace("-    return 0\n", "-    return None\n"), False),  # another line of the change
        (PATCH.replace("return result", "return result + 1"), True),
        (PATCH.replace("@@ -38,4 +38,4 @@", "@@ -37,4 +37,4 @@"), True),  # the line has moved
        (PATCH.replace("src/app.py", "src/cart.py"), True),
        ("", True),
    ],
)
def test_a_line_whose_text_has_changed_is_outdated_and_no_other_line_gets_the_comment(
    review: Review, patch: str, outdated: bool
) -> None:
    review.mark(LINE)
    review.publish(edit(patch))
    lines = review.lines()
    assert lines["outdated"] is outdated
    assert (lines["first"], lines["quote"]) == (40, "    return result")
    assert ('class="comment outdated"' in review.page()["body"]) is outdated
    assert ("outdated" in review.answer("GET", f"/share/{SHARE.id}.md", NOBODY)["body"]) is outdated


def test_a_line_that_comes_back_is_not_outdated(review: Review) -> None:
    review.mark(LINE)
    review.publish(edit(""))
    assert review.lines()["outdated"]
    review.publish(edit())
    assert not review.lines()["outdated"]


def test_a_quote_is_bounded_and_a_change_behind_it_counts(review: Review) -> None:
    long = "x" * 2 * LONGEST_QUOTE
    review.publish(edit(PATCH.replace("return result", long)))
    review.mark(LINE)
    assert len(review.lines()["quote"]) == LONGEST_QUOTE
    assert not review.lines()["outdated"]
    review.publish(edit(PATCH.replace("return result", long + "y")))
    assert review.lines()["outdated"]


def test_several_changes_of_a_file_are_told_apart(review: Review) -> None:
    second = PATCH.replace("return result", "return result + tax")
    review.publish(edit("", results=[{"diff": PATCH}, {"diff": second}]))
    assert review.mark({**LINE, "change": 2})[0] == 201
    assert review.lines()["quote"] == "    return result + tax"


def test_a_change_without_the_name_of_a_file_takes_comments(review: Review) -> None:
    review.publish(edit("@@ -1 +1 @@\n-a\n+b\n"))
    assert review.mark({"file": "", "first": 1})[0] == 201
    assert "line 1 of unnamed file" in review.page()["body"]


def test_lines_of_a_large_part_are_found(review: Review) -> None:
    review.publish(edit(PATCH, filler="x" * 300_000))
    assert review.mark(LINE)[0] == 201
    review.publish(edit(PATCH.replace("return result", "return 1"), filler="x" * 300_000))
    assert review.lines()["outdated"]


def test_lines_of_large_changes_of_a_session_are_found(review: Review) -> None:
    filler = change("@@ -1 +1 @@\n-a\n+" + "x" * 300_000, "other.py")
    review.publish(Item(key="session_diff", type="session_diff", data=json.dumps([change(), filler]).encode()))
    assert review.mark(LINE, item="session_diff")[0] == 201
    assert not review.lines()["outdated"]


def test_secrets_in_a_quote_are_replaced(review: Review) -> None:
    key = FORMATS["github-personal"](Draw(1))
    review.publish(edit(PATCH.replace("return result", f"token = '{key}'")))  # stored before the rules knew it
    review.mark(LINE)
    assert "[redacted: github-pat]" in review.lines()["quote"]
    assert key not in repr(review.store.comments(SHARE.id))
    review.publish(edit(PATCH.replace("return result", "token = '[redacted: github-pat]'")))  # as a rescan does
    assert not review.lines()["outdated"]


def test_the_audit_trail_has_the_place_and_no_text(review: Review) -> None:
    comment = review.mark(LINE)[1]["comment"]
    place = {"file": "src/app.py", "side": "new", "first": 40, "last": 40}
    assert review.facts == [{"comment": comment["id"], "item": PART, **place}]


def test_resolving_keeps_the_place(review: Review) -> None:
    comment = review.mark(LINE)[1]["comment"]
    resolved = review.ask("POST", f"{PATH}/{comment['id']}", OWNER, {"resolved": True})[1]["comment"]
    assert resolved == {**comment, "resolved": True}


def test_a_page_without_scripts_shows_the_place_and_leads_to_the_part(review: Review) -> None:
    review.mark({**LINE, "last": 41})
    body = review.page()["body"]
    where = f"/share/{SHARE.id}?at=msg_1%2Fprt_1#p-msg_1/prt_1"
    assert f'href="{where}">lines 40 to 41 of src/app.py</a>' in body
    assert "    return result\n# end</pre>" in body


def test_markdown_and_json_have_the_place(review: Review) -> None:
    review.mark({**LINE, "side": "old"})
    markdown = review.answer("GET", f"/share/{SHARE.id}.md", NOBODY)["body"]
    assert "on old line 40 of `src/app.py`, part prt_1:\n>\n> ```\n>     return 0\n> ```\n>\n> Why?" in markdown
    document = json.loads(review.answer("GET", f"/share/{SHARE.id}.json", NOBODY)["body"])
    assert document["comments"] == review.read()


def test_hostile_names_and_lines_stay_words(review: Review) -> None:
    hostile = "<script>alert(1)</script>"
    review.publish(edit(PATCH.replace("src/app.py", hostile).replace("return result", hostile)))
    assert review.mark({"file": hostile, "first": 40})[0] == 201
    for body in (review.page(COLLEAGUE)["body"], review.answer("GET", PATH, COLLEAGUE)["body"]):
        assert "<script>alert" not in body


def test_a_comment_that_was_stored_without_lines_is_read(review: Review) -> None:
    review.say("Hello", item=PART)
    [comment] = review.store.comments(SHARE.id)
    row = rows.comment_row(SHARE.id, comment)
    assert "lines" not in row
    assert rows.comment_from(row) == comment
    assert review.read()[0]["lines"] is None


def test_a_long_comment_on_lines_is_far_below_the_limit_of_a_row(review: Review) -> None:
    review.publish(edit(PATCH.replace("src/app.py", "s" * 400).replace("return result", "é" * 1000)))
    assert review.mark({"file": "s" * 400, "first": 40}, text="é" * 4000)[0] == 201
    [comment] = review.store.comments(SHARE.id)
    assert len(msgspec.json.encode(comment)) < 20_000
