"""The routes that read a part of a conversation: windows, prompts, search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.errors import Unauthorized
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.sharing.models import Refusal
from opencode_cloud.sharing.routes.readers import ReaderRoutes
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.reading import ShareReader
from opencode_cloud.sharing.service.windows import Conversation
from tests.unit.sharing.conversation import BEGIN, Item, assistant, part, session, tool, user
from tests.unit.sharing.whole import whole_conversation

SHARE, CHILD = ShareId("S" * 22), ShareId("C" * 22)
REFUSAL = Refusal(code="share_full", since=BEGIN, last=BEGIN + 3_600_000)


def long() -> list[Item]:
    items = [session()]
    for number in range(200):
        make = user if number % 10 == 0 else assistant
        items.append(make(f"msg_{number:03}", BEGIN + number))
        items.append(part(f"msg_{number:03}", "prt_1", "text", text=f"mark{number}x " + "word " * 1_000))
    return items


class Reading:
    """Reads of one long share. ``views`` counts those that are views."""

    def __init__(self, items: Sequence[Item], *, refused: bool = False) -> None:
        self.items, self.refused, self.views = items, refused, 0

    def conversation(self, _share_id: ShareId, _visitor: Visitor, *, is_view: bool = False) -> Conversation:
        if self.refused:
            raise Unauthorized("login_required", "Sign in.")
        self.views += is_view
        share = SimpleNamespace(id=SHARE, created_at=BEGIN, refusal=REFUSAL)
        return whole_conversation(self.items, share)

    def relatives(self, _share: Any, pseudonyms: Sequence[str], _visitor: Visitor) -> dict[str, ShareId]:
        return {name: CHILD for name in pseudonyms if name == "ses_child"}

    def inline(self, _share_id: ShareId, items: Sequence[Any]) -> Sequence[Any]:
        return items

    def bodies_origin(self) -> str:
        return ""


@pytest.fixture
def reading() -> Reading:
    return Reading(long())


def get(reading: Reading, path: str, **query: str) -> dict[str, Any]:
    app = HttpRoutes()
    nothing = cast("Any", SimpleNamespace(panel=lambda *_: None, view=lambda *_: None, beside=lambda *_: ()))
    ReaderRoutes(cast("ShareReader", reading), nothing, nothing, nothing, public_url="https://cloud.example").mount(app)
    context = {
        "http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"},
        "stage": "$default",
        "timeEpoch": BEGIN,
    }
    event = {"rawPath": path, "rawQueryString": "", "queryStringParameters": query, "body": None}
    headers = {"accept": "text/html"} if path == f"/share/{SHARE}" else {}
    event |= {"headers": headers, "isBase64Encoded": False, "requestContext": {**context, "requestId": "r"}}
    return app.answer(event, None)


def test_a_window_is_the_messages_alone(reading: Reading) -> None:
    answer = get(reading, f"/share/{SHARE}/messages", before="msg_100")
    assert answer["statusCode"] == 200
    assert answer["headers"]["Cache-Control"] == "private, no-store"
    assert "default-src 'none'" in answer["headers"]["Content-Security-Policy"]
    assert "mark99x" in answer["body"]
    assert "mark100x" not in answer["body"]
    assert "<main" not in answer["body"]


def test_only_the_opening_of_a_page_is_a_view(reading: Reading) -> None:
    for query in ({"before": "msg_100"}, {"since": "msg_100"}, {"at": "msg_100"}, {"from": "beginning"}):
        assert get(reading, f"/share/{SHARE}", **query)["statusCode"] == 200
        assert get(reading, f"/share/{SHARE}/messages", **query)["statusCode"] == 200
    get(reading, f"/share/{SHARE}/prompts")
    get(reading, f"/share/{SHARE}/search", q="word")
    assert reading.views == 0
    get(reading, f"/share/{SHARE}")
    assert reading.views == 1


def test_a_place_that_is_not_there_leads_to_the_page(reading: Reading) -> None:
    answer = get(reading, f"/share/{SHARE}", at="msg_x")
    assert (answer["statusCode"], answer["headers"]["Location"]) == (302, f"/share/{SHARE}")
    answer = get(reading, f"/share/{SHARE}/messages", at="msg_x")
    assert (answer["statusCode"], json.loads(answer["body"])["error"]) == (404, "message_not_found")


def test_the_prompts_have_the_figures_of_their_turns(reading: Reading) -> None:
    prompts = json.loads(get(reading, f"/share/{SHARE}/prompts")["body"])["prompts"]
    assert len(prompts) == 20
    assert prompts[1][0] == "msg_010"
    assert prompts[1][1].startswith("mark10x word")
    assert prompts[1][2] == [9 * 201, 9 * 32_530, 0, 9 * 20, 9 * 326]


def test_the_search_answers_with_places(reading: Reading) -> None:
    found = json.loads(get(reading, f"/share/{SHARE}/search", q="MARK7X")["body"])
    assert [match["anchor"] for match in found["matches"]] == ["p-msg_007/prt_1"]
    assert found["next"] == ""
    assert get(reading, f"/share/{SHARE}/search", q="x")["statusCode"] == 400
    assert get(reading, f"/share/{SHARE}/search", q="mark", **{"from": "msg_x"})["statusCode"] == 404


@pytest.mark.parametrize("path", ["messages", "prompts", "search"])
def test_nothing_is_read_without_access(path: str) -> None:
    assert get(Reading(long(), refused=True), f"/share/{SHARE}/{path}", q="words")["statusCode"] == 401


def test_the_page_says_what_could_not_be_stored(reading: Reading) -> None:
    body = get(reading, f"/share/{SHARE}")["body"]
    assert "Parts of this session are missing: the server refused updates at 2026-11-23 01:02 UTC to" in body


def test_a_task_leads_to_the_share_of_its_session_if_there_is_one() -> None:
    tasks = [
        tool(name=f"prt_{n}", tool="task", metadata={"sessionId": name})
        for n, name in enumerate(["ses_child", "ses_unshared", "ses_child"])
    ]
    body = get(Reading([assistant(), *tasks]), f"/share/{SHARE}")["body"]
    assert body.count(f'href="/share/{CHILD}"') == 2
