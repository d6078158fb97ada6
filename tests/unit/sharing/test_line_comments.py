"""Comments on lines of changes and blocks: members name lines that the page shows, and see when they have changed."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from opencode_cloud.http.requests import form_token
from opencode_cloud.sharing.models import Item, Position
from opencode_cloud.sharing.protocol.comments import LONGEST_QUOTE, MOST_LINES
from opencode_cloud.sharing.rendering import line_choices
from opencode_cloud.sharing.store import rows
from tests.unit.aws import Cloud
from tests.unit.sharing.redaction.secrets import FORMATS, Draw
from tests.unit.sharing.test_comments import COLLEAGUE, NOBODY, OWNER, PATH, Room
from tests.unit.sharing.test_owner_panel import KEY, SHARE

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


OUTPUT = "collected 2 items\n\x1b[31mFAILED\x1b[0m test_total\n1 failed\n"
FENCED = "Do this:\n\n```python\nresult = 0\nreturn result\n```\n\nand then:\n\n~~~\nmake test\n~~~\n"


def command(output: str = OUTPUT, **state: Any) -> Item:
    given = {"status": "completed", "input": {"command": "pytest\nexit"}, "output": output, **state}
    part = {"id": "prt_2", "messageID": "msg_1", "type": "tool", "tool": "bash", "state": given}
    return Item(key="part/msg_1/prt_2", type="part", data=json.dumps(part).encode())


def words(text: str = FENCED) -> Item:
    part = {"id": "prt_3", "messageID": "msg_1", "type": "text", "text": text}
    return Item(key="part/msg_1/prt_3", type="part", data=json.dumps(part).encode())


def reading(output: str) -> Item:
    given = {"status": "completed", "input": {"filePath": "a.py"}, "output": output}
    part = {"id": "prt_4", "messageID": "msg_1", "type": "tool", "tool": "read", "state": given}
    return Item(key="part/msg_1/prt_4", type="part", data=json.dumps(part).encode())


def text(number: int, first: int, last: int = 0, **more: Any) -> dict[str, Any]:
    return {"file": "", "side": "text", "change": number, "first": first, "last": last, **more}


@pytest.mark.parametrize(
    ("item", "lines", "quote"),
    [
        (command(), text(1, 1), "$ pytest"),
        (command(), text(2, 2), "FAILED test_total"),
        (command("\n".join(f"line {n}" for n in range(1, 101))), text(2, 12, 14), "line 12\nline 13\nline 14"),
        (command("\n".join(f"line {n}" for n in range(1, 101))), text(2, 88, 90), "line 88\nline 89\nline 90"),
        (words(), text(1, 1, 2), "result = 0\nreturn result"),
        (words(), text(2, 1), "make test"),
        (reading("<file>\n00001| import os\n00002| \n00003| print(os)\n</file>"), text(1, 3), "print(os)"),
        (reading("1: import os\n2: print(os)"), text(1, 2), "print(os)"),
    ],
    ids=["a command", "an output", "a long output", "its end", "code", "more code", "a file", "a newer file"],
)
def test_a_comment_names_lines_of_code_and_of_an_output_as_the_page_shows_them(
    review: Review, item: Item, lines: dict[str, Any], quote: str
) -> None:
    review.publish(item)
    assert review.mark(lines, item=item.key)[0] == 201
    kept = review.lines()
    assert (kept["quote"], kept["outdated"], kept["file"]) == (quote, False, "")


def test_a_block_whose_lines_have_changed_is_outdated(review: Review) -> None:
    review.publish(command())
    review.mark(text(2, 2), item="part/msg_1/prt_2")
    review.publish(command(OUTPUT + "more\n"))
    assert not review.lines()["outdated"], "an output grows"
    review.publish(command(OUTPUT.replace("test_total", "test_sum")))
    assert review.lines()["outdated"]


@pytest.mark.parametrize(
    ("item", "lines", "reason"),
    [
        ("part/msg_1/prt_2", text(3, 1), "shows 2 blocks"),
        ("part/msg_1/prt_2", text(0, 1), "shows 2 blocks"),
        ("part/msg_1/prt_2", text(2, 4), "has no line 4. Its lines have the numbers 1 to 3"),
        ("part/msg_1/prt_2", text(2, 2, 9), "has no line 9"),
        ("part/msg_1/prt_2", text(2, 0), "has no line 0"),
        ("part/msg_1/prt_2", text(2, 3, 2), "Name 1 to 50 lines"),
        ("part/msg_1/prt_2", text(2, 1, MOST_LINES + 1), "Name 1 to 50 lines"),
        (PART, text(1, 1), "shows no code or output"),
        ("message/msg_1", text(1, 1), "shows no code or output"),
        ("part/msg_9/prt_9", text(1, 1), "shows no code or output"),
    ],
)
def test_lines_that_no_block_has_are_refused_with_the_reason(
    review: Review, item: str, lines: dict[str, Any], reason: str
) -> None:
    review.publish(command())
    status, body = review.mark(lines, item=item)
    assert (status, body["error"]) == (400, "invalid_lines")
    assert reason in body["message"]


def test_page_and_markdown_name_the_block(review: Review) -> None:
    review.publish(command())
    review.mark(text(2, 1, 2), item="part/msg_1/prt_2")
    assert ">lines 1 to 2 of block 2</a>" in review.page()["body"]
    markdown = review.answer("GET", f"/share/{SHARE.id}.md", NOBODY)["body"]
    assert "on lines 1 to 2 of block 2, part prt_2:\n>\n> ```\n> collected 2 items" in markdown


def choices(page: str) -> dict[str, str]:
    """Return the places of the form for lines: their words, and the values of the field."""
    form = page.partition('name="place"')[2].partition("</select>")[0]
    found = re.findall(r'<option value="([^"]*)">([^<]*)</option>', form)
    return {html.unescape(shown): html.unescape(value) for value, shown in found}


def send(review: Review, cookie: str = COLLEAGUE, **fields: Any) -> Any:
    body = urlencode({"token": form_token(KEY, cookie, PATH), "action": "add_lines", "text": "Why?", **fields})
    return review.answer("POST", PATH, cookie, body=body, site="same-origin", form=True)


@pytest.mark.parametrize(
    ("place", "first", "last", "quote"),
    [
        ("1. src/app.py, after the change", "40", "", "    return result"),
        ("1. src/app.py, before the change", "39", "40", "    result = 0\n    return 0"),
        ("1. bash: collected 2 items (3 lines)", "2", "3", "FAILED test_total\n1 failed"),
        ("1. result = 0 (2 lines)", "1", "1", "result = 0"),
        ("src/app.py, after the change", "40", "", "    return result"),
    ],
)
def test_a_form_without_scripts_names_lines(review: Review, place: str, first: str, last: str, quote: str) -> None:
    review.publish(
        command(), words(), Item(key="session_diff", type="session_diff", data=json.dumps([change()]).encode())
    )
    answer = send(review, place=choices(review.page(COLLEAGUE)["body"])[place], first=first, last=last)
    assert (answer["statusCode"], answer["headers"]["Location"]) == (303, f"/share/{SHARE.id}#comments")
    assert review.lines()["quote"] == quote


@pytest.mark.parametrize(
    "fields",
    [
        {"place": "", "first": "1"},
        {"place": "item=a&side=new&change=x&file=", "first": "1"},
        {"place": "item=a&side=left&change=1&file=", "first": "1"},
        {"place": "&" * 10_000, "first": "1"},
        {"place": "item=a&side=new&change=1&file=", "first": "x"},
        {"place": "item=a&side=new&change=1&file=", "first": "9" * 5000},
        {"place": "item=a&side=new&change=1&file=", "first": "\N{SUPERSCRIPT TWO}"},
        {"place": f"item={PART}&side=new&change={'9' * 5000}&file=src%2Fapp.py", "first": "40"},
        {"place": f"item={PART}&side=new&change=1&file=src%2Fapp.py", "first": "1"},
    ],
)
def test_a_form_that_names_no_lines_is_refused_by_a_page(review: Review, fields: dict[str, str]) -> None:
    answer = send(review, **fields)
    assert answer["statusCode"] == 400
    assert "Nothing was changed" in answer["body"]
    assert review.read() == []


def test_only_members_get_the_form_for_lines(review: Review) -> None:
    assert 'name="place"' not in review.page(NOBODY)["body"]
    place = f"item={PART}&side=new&change=1&file=src%2Fapp.py"
    assert send(review, "someone else", place=place, first="40")["statusCode"] == 401


def test_a_page_has_a_bounded_number_of_choices(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    review.publish(command(), words())
    every = [*choices(review.page(COLLEAGUE)["body"])]
    monkeypatch.setattr(line_choices, "MOST_CHOICES", 2)
    assert [*choices(review.page(COLLEAGUE)["body"])] == every[-2:]


def test_hostile_words_of_a_block_stay_words(review: Review) -> None:
    review.publish(command("<script>alert(1)</script>"))
    assert "<script>alert" not in review.page(COLLEAGUE)["body"]
