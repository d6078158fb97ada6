"""Comments on a share: members write them, readers see them, in the page, Markdown and JSON."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from opencode_cloud.contracts.access import EnforcedPolicy
from opencode_cloud.contracts.ids import ClientSessionId, ShareId
from opencode_cloud.http.requests import form_token
from opencode_cloud.sharing.models import Mode
from opencode_cloud.sharing.protocol.capability import pseudonym_key
from opencode_cloud.sharing.protocol.comments import LONGEST_COMMENT, MOST_COMMENT_BYTES
from opencode_cloud.sharing.protocol.frames import comments_frame
from opencode_cloud.sharing.protocol.ids import pseudonym_of
from opencode_cloud.sharing.service import commenting
from tests.unit.aws import Cloud
from tests.unit.sharing.redaction.secrets import FORMATS, Draw
from tests.unit.sharing.test_owner_panel import KEY, OWNER, SHARE, Desk

COLLEAGUE, ADMIN, NOBODY = "a colleague", "an admin", ""
PATH = f"/share/{SHARE.id}/comments"


class Room(Desk):
    """A share with comments."""

    def open(self, mode: Mode = Mode.LINK, *, comments: bool | None = True) -> None:
        share = self.store.share(SHARE.id)
        assert share is not None
        assert share.ownership is not None
        changed = msgspec.structs.replace(share.ownership, mode=mode, comments=comments, ticket_key=b"k2")
        assert self.store.change(share, changed, None)

    def say(self, text: str, cookie: str = COLLEAGUE, item: str = "") -> Any:
        return self.ask("POST", PATH, cookie, {"text": text, "item": item})

    def ask(self, method: str, path: str, cookie: str, body: Any = None) -> Any:
        answer = self.answer(
            method, path, cookie, body=json.dumps(body) if body is not None else "", site="same-origin", accept="*/*"
        )
        return answer["statusCode"], json.loads(answer["body"])

    def read(self, cookie: str = NOBODY) -> list[dict[str, Any]]:
        status, body = self.ask("GET", PATH, cookie)
        assert status == 200
        return body["comments"]


@pytest.fixture
def room(cloud: Cloud) -> Room:
    made = Room(cloud)
    made.open()
    return made


def test_a_member_comments_and_every_reader_sees_it_without_an_address(room: Room) -> None:
    status, body = room.say(" Is this right? ", item="message/msg_1")
    assert status == 201
    [comment] = room.read()
    assert comment == body["comment"]
    assert (comment["text"], comment["item"], comment["resolved"]) == ("Is this right?", "message/msg_1", False)
    assert comment["name"] == "acc_2"
    assert "@" not in json.dumps(comment)
    assert "author" not in comment
    assert (room.audited, room.asked) == (["share.commented"], ["comments"])


@pytest.mark.parametrize(
    ("mode", "comments", "status"),
    [
        (Mode.LINK, None, 403),
        (Mode.PASSWORD, None, 403),
        (Mode.WORKSPACE, None, 201),
        (Mode.LINK, True, 201),
        (Mode.WORKSPACE, False, 403),
    ],
)
def test_comments_are_off_where_strangers_read_until_the_owner_turns_them_on(
    room: Room, mode: Mode, comments: bool | None, status: int
) -> None:
    room.open(mode, comments=comments)
    assert room.say("Hello")[0] == status


def test_comments_that_are_turned_off_are_not_shown(room: Room) -> None:
    room.say("Hello")
    room.open(comments=False)
    assert room.read() == []
    assert "Hello" not in room.page(OWNER)["body"]


@pytest.mark.parametrize("cookie", [NOBODY, "unknown"])
def test_only_members_write(room: Room, cookie: str) -> None:
    assert room.say("Hello", cookie)[0] == 401
    assert room.read() == []


def test_a_policy_that_ends_sharing_ends_comments(room: Room) -> None:
    room.people.policy = EnforcedPolicy(share_mode="off")
    assert room.say("Hello")[0] == 404


@pytest.mark.parametrize("text", ["", "   ", "x" * (LONGEST_COMMENT + 1)])
def test_a_comment_has_a_length(room: Room, text: str) -> None:
    status, body = room.say(text)
    assert (status, body["error"]) == (400, "invalid_comment")


def test_comments_of_a_share_stay_within_one_answer(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_COMMENT_BYTES * 5 < 6_000_000  # escapes of HTML make a mark five times as long
    monkeypatch.setattr(commenting, "MOST_COMMENT_BYTES", 20_000)
    answers = [room.say("字" * LONGEST_COMMENT)[0] for _ in range(4)]
    assert answers == [201, 201, 409, 409]
    [first, _] = room.read()
    assert room.ask("DELETE", f"{PATH}/{first['id']}", COLLEAGUE)[0] == 200
    assert room.say("Hello")[0] == 201


def test_secrets_in_comments_are_replaced(room: Room) -> None:
    key = FORMATS["github-personal"](Draw(1))
    room.say(f"use {key} here")
    assert room.read()[0]["text"] == "use [redacted: github-pat] here"
    assert key not in repr(room.store.comments(SHARE.id))


def test_session_ids_and_secrets_of_shares_in_comments_are_replaced(room: Room) -> None:
    own, other = "ses_0123456789abOwnOwnOwnOwnOw", "ses_" + "0123456789abcdef" * 4
    secret = "shs_" + "a" * 22 + "b" * 43
    room.say(f"opencode -s {own} or {other}, then {own}; the secret is {secret}.", item="message/msg_1")
    [comment] = room.store.comments(SHARE.id)
    names = re.findall("ses_[0-9A-Za-z]+", comment.text)
    assert names == [pseudonym_of(pseudonym_key(KEY), ClientSessionId(each)) for each in (own, other, own)]
    assert comment.text.endswith("the secret is [redacted: share-secret].")


def test_the_pseudonym_of_a_shared_session_stays_in_a_comment(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, unknown = "ses_0123456789abShownShownShow", "ses_0123456789abUnknownUnknown"
    sub_agent = msgspec.structs.replace(SHARE, id=ShareId("shr_2"), pseudonym=shown)
    monkeypatch.setattr(room.store, "relatives", lambda _, named: [sub_agent] if shown in named else [])
    room.say(f"see {shown}, not {unknown}")
    text = room.read()[0]["text"]
    assert text.startswith(f"see {shown}, not ses_")
    assert unknown not in text


@pytest.mark.parametrize(
    "item", ["message/msg_2", "part/msg_1/prt_1", "session_diff", "other", "message/msg_1\r\r# 9. User", "part/msg_1"]
)
def test_a_comment_on_what_the_session_does_not_have_is_refused(room: Room, item: str) -> None:
    status, body = room.say("Hello", item=item)
    assert (status, body["error"]) == (404, "message_not_found")
    assert room.read() == []


def test_a_comment_is_resolved_and_opened_again_by_any_member(room: Room) -> None:
    comment = room.say("Hello")[1]["comment"]
    one = f"{PATH}/{comment['id']}"
    assert room.ask("POST", one, OWNER, {"resolved": True}) == (200, {"comment": {**comment, "resolved": True}})
    assert room.read()[0]["resolved"]
    assert room.ask("POST", one, ADMIN, {"resolved": False})[1]["comment"] == comment
    assert room.ask("POST", one, NOBODY, {"resolved": True})[0] == 401
    assert room.ask("POST", f"{PATH}/cmt_0", OWNER, {"resolved": True})[0] == 404
    assert room.audited == ["share.commented", "share.comment_resolved", "share.comment_reopened"]


@pytest.mark.parametrize(("cookie", "status"), [(COLLEAGUE, 200), (OWNER, 200), (ADMIN, 200), (NOBODY, 401)])
def test_author_owner_and_admins_delete(room: Room, cookie: str, status: int) -> None:
    comment = room.say("Hello")[1]["comment"]
    assert room.ask("DELETE", f"{PATH}/{comment['id']}", cookie)[0] == status
    assert len(room.read()) == (status != 200)


def test_a_colleague_does_not_delete_the_comment_of_another(room: Room) -> None:
    comment = room.say("Hello", ADMIN)[1]["comment"]
    assert room.ask("DELETE", f"{PATH}/{comment['id']}", COLLEAGUE)[0] == 404
    assert len(room.read()) == 1


def test_comments_are_in_page_markdown_and_json(room: Room) -> None:
    room.say("Is this *right*?", item="message/msg_1")
    room.say("Fine", OWNER)
    body = room.page()["body"]
    assert body.index("Is this *right*?") < body.index("Fine")
    section = body[body.index('id="comments"') :]
    assert "<form" not in section[: section.index("</section>")]
    markdown = room.answer("GET", f"/share/{SHARE.id}.md", NOBODY)["body"]
    assert "## Comments" in markdown
    assert "on message msg_1" in markdown
    document = json.loads(room.answer("GET", f"/share/{SHARE.id}.json", NOBODY)["body"])
    assert document["comments"] == room.read()


def test_a_member_comments_by_a_form_without_scripts(room: Room) -> None:
    page = room.page(COLLEAGUE)
    assert "form-action 'self'" in page["headers"]["Content-Security-Policy"]
    assert '<option value="message/msg_1">1. User' in page["body"]
    token = form_token("the deployment's key", COLLEAGUE, PATH)

    def send(site: str = "same-origin", **fields: str) -> Any:
        return room.answer("POST", PATH, COLLEAGUE, body=urlencode({"token": token, **fields}), site=site, form=True)

    answer = send(text="Hello", item="message/msg_1", action="add")
    assert (answer["statusCode"], answer["headers"]["Location"]) == (303, f"/share/{SHARE.id}#comments")
    [comment] = room.read()
    send(comment=comment["id"], action="resolve")
    assert room.read()[0]["resolved"]
    refused = send(comment="cmt_0", action="delete")
    assert (refused["statusCode"], "no comment with this id" in refused["body"]) == (404, True)
    assert send(token="other", text="x", action="add")["statusCode"] == 403
    assert send(site="cross-site", text="x", action="add")["statusCode"] == 403
    send(comment=comment["id"], action="delete")
    assert room.read() == []


def test_the_script_gets_the_list_as_the_server_writes_it(room: Room) -> None:
    room.say("<script>alert(1)</script>")
    answer = room.answer("GET", PATH, COLLEAGUE)
    assert answer["headers"]["Content-Type"].startswith("text/html")
    assert "&lt;script&gt;alert(1)" in answer["body"]
    assert "<script" not in answer["body"]


def test_a_share_without_comments_and_writers_has_no_section(room: Room) -> None:
    room.open(comments=None)
    for cookie in (NOBODY, COLLEAGUE, OWNER):
        assert 'id="comments"' not in room.page(cookie)["body"]


def test_comments_go_with_their_share(room: Room) -> None:
    room.say("Hello")
    room.store.purge(SHARE.id)
    assert room.store.comments(SHARE.id) == []


def test_a_comment_that_was_deleted_meanwhile_stays_deleted(room: Room) -> None:
    room.say("Hello")
    [comment] = room.store.comments(SHARE.id)
    room.store.delete_comment(SHARE.id, comment.id)
    assert not room.store.replace_comment(SHARE.id, comment)
    assert room.store.comments(SHARE.id) == []


def test_the_frame_names_the_share_and_moves_no_cursor() -> None:
    assert json.loads(comments_frame(SHARE.id)) == {"type": "comments", "share": SHARE.id, "href": PATH}
