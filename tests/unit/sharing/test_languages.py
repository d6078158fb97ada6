"""The pages of shares in Chinese: server and scripts say the same, and agents always read English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
import pytest

from local.gallery import Gallery
from opencode_cloud.contracts.ids import CommentId, ShareId
from opencode_cloud.kit.errors import Gone, NotFound, Unauthorized
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.languages import PageLanguage, speaking
from opencode_cloud.sharing.protocol.comments import Comment
from opencode_cloud.sharing.rendering.blocks import block
from opencode_cloud.sharing.rendering.lenient import decode, mapping
from opencode_cloud.sharing.rendering.views import block_nodes
from opencode_cloud.sharing.routes.readers import ReaderRoutes
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.reading import ShareDocument
from opencode_cloud.sharing.service.windows import Conversation
from tests.unit.sharing.browser_side import BrowserSide, merged
from tests.unit.sharing.conversation import conversation, item
from tests.unit.sharing.whole import whole_conversation

SHARE = "S" * 22
CHINESE = re.compile("[\u4e00-\u9fff]")
IN_CHINESE = PageLanguage("zh-CN")
PARTS: list[dict[str, Any]] = [item["data"] for item in Gallery().items() if item["type"] == "part"]


class Shared(msgspec.Struct):
    id: str = SHARE
    created_at: int = 0
    refusal: None = None


class State(msgspec.Struct):
    seq: int = 9
    share: Shared = msgspec.field(default_factory=Shared)
    items: list[Any] = msgspec.field(default_factory=conversation)


class Desk:
    """Stands in for all services of readers: one share, or the error that refuses it."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def conversation(self, _share: ShareId, _visitor: Visitor, *, is_view: bool = False) -> Conversation:
        if self._error:
            raise self._error
        return whole_conversation(self.items(), Shared())

    def items(self) -> list[Any]:
        return conversation()

    def relatives(self, *_: object) -> dict[str, ShareId]:
        return {}

    def document(self, _share: ShareId, _visitor: Visitor, _name: str, _kind: str, render: Any) -> ShareDocument:
        return ShareDocument(render(State()))

    def bodies_origin(self) -> str:
        return ""

    def panel(self, *_: object) -> None:
        return None

    view = panel

    def beside(self, *_: object) -> list[Comment]:
        return []

    def of(self, *_: object) -> list[Comment]:
        return [Comment(id=CommentId("c"), author="a", name="Ada", text="Why?", created_at=0, item="message/msg_1")]


def get(path: str, desk: Desk | None = None, query: str = "", **more: str) -> dict[str, Any]:
    """Open a page. ``more`` are further headers, with `_` for `-` in their names."""
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    app, this = HttpRoutes(), cast("Any", desk or Desk())
    ReaderRoutes(this, this, this, this, public_url="https://cloud.example").mount(app)
    event = {
        "rawPath": path,
        "rawQueryString": query,
        "queryStringParameters": dict(parse_qsl(query)),
        "headers": {"accept": "text/html", "accept-language": "zh-CN", **headers},
        "body": None,
        "requestContext": {
            "http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"},
            "stage": "$default",
            "requestId": "r",
            "timeEpoch": 1,
            "domainName": "cloud.example",
        },
    }
    return app.answer({**event, "isBase64Encoded": False}, None)


@pytest.fixture(scope="module")
def browser_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserSide]:
    running = BrowserSide(tmp_path_factory.mktemp("static"), "zh-CN")
    yield running
    running.close()


def test_server_and_browser_say_the_same_of_each_part_of_the_gallery(browser_side: BrowserSide) -> None:
    said = 0
    with speaking(IN_CHINESE):
        for part in PARTS:
            shown = block(mapping(decode(json.dumps(part).encode())))
            server = msgspec.to_builtins(block_nodes(shown) if shown else [])
            assert merged(server) == merged(browser_side.call("views", "partNodes", part)), part
            said += bool(CHINESE.search(str(server)))
    assert said > 20


@pytest.mark.parametrize(
    ("name", "args"),
    [("lasting", [0, 61_000]), ("described", [1000, 500, 20, 30_000]), ("failure", [{"name": "MessageAbortedError"}])],
)
def test_the_browser_fills_placeholders(browser_side: BrowserSide, name: str, args: list[Any]) -> None:
    words = browser_side.call("blocks", name, *args)
    assert CHINESE.search(words)
    assert "%(" not in words
    assert "%%" not in words


def test_the_page_of_a_share_is_in_the_language_of_the_reader() -> None:
    answer = get(f"/share/{SHARE}")
    assert answer["statusCode"] == 200
    assert '<html lang="zh-CN">' in answer["body"]
    assert "复制链接" in answer["body"]
    headers = answer["headers"]
    assert headers["Content-Language"] == "zh-CN"
    assert {"Accept", "Accept-Language", "Cookie"} <= set(headers["Vary"].split(", "))
    assert headers["Cache-Control"] == "private, no-store"
    english = get(f"/share/{SHARE}", accept_language="de,en;q=0.5")
    assert '<html lang="en">' in english["body"]
    assert english["headers"]["Content-Language"] == "en"
    assert not CHINESE.search(english["body"].replace("简体中文", ""))


def test_a_compressed_page_still_depends_on_the_language() -> None:
    found = get(f"/share/{SHARE}", Big(), accept_encoding="gzip")
    assert found["headers"]["Content-Encoding"] == "gzip"
    assert {"Accept", "Accept-Language", "Cookie", "Accept-Encoding"} == set(found["headers"]["Vary"].split(", "))


class Big(Desk):
    """A share whose page is large enough to be compressed."""

    def items(self) -> list[Any]:
        return [item("message", {"id": f"msg_{number}", "role": "user"}) for number in range(200)]


def test_a_window_of_messages_is_in_the_language_of_the_page() -> None:
    answer = get(f"/share/{SHARE}/messages")
    assert answer["statusCode"] == 200
    assert "用户" in answer["body"]
    assert answer["headers"]["Content-Language"] == "zh-CN"
    assert "Accept-Language" in answer["headers"]["Vary"]
    assert not CHINESE.search(get(f"/share/{SHARE}/messages", accept_language="en")["body"])


def test_the_switch_is_on_the_page_and_remembered() -> None:
    assert 'href="?language=en"' in get(f"/share/{SHARE}")["body"]
    answer = get(f"/share/{SHARE}", query="language=en", sec_fetch_site="same-origin")
    assert (answer["statusCode"], answer["headers"]["Location"]) == (303, f"/share/{SHARE}")
    assert answer["headers"]["Set-Cookie"].startswith("__Host-opencode_language=en;")
    assert '<html lang="en">' in get(f"/share/{SHARE}", cookie="__Host-opencode_language=en")["body"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Gone("share_gone", "Gone."), "不再分享"),
        (NotFound("share_not_found", "None."), "这里没有会话"),
        (Unauthorized("password_required", "Send it."), "此会话受密码保护"),
        (Unauthorized("login_required", "Sign in."), "登录后查看此会话"),
    ],
)
def test_pages_of_refusals_are_translated_and_kept_by_no_cache(error: Any, words: str) -> None:
    answer = get(f"/share/{SHARE}", Desk(error))
    assert answer["statusCode"] == error.status
    assert words in answer["body"]
    assert answer["headers"]["Cache-Control"] == "private, no-store"
    assert "Accept-Language" in answer["headers"]["Vary"]


def test_an_address_without_a_page_is_answered_in_the_language_of_the_reader() -> None:
    assert "找不到页面" in get("/nowhere")["body"]


@pytest.mark.parametrize("suffix", [".md", ".json"])
def test_agents_read_english(suffix: str) -> None:
    answer = get(f"/share/{SHARE}{suffix}")
    assert answer["statusCode"] == 200
    assert not CHINESE.search(answer["body"])


def test_errors_for_programs_are_in_english() -> None:
    answer = get(f"/share/{SHARE}", Desk(Gone("share_gone", "Gone.")), accept="application/json")
    assert not CHINESE.search(answer["body"])
    assert not CHINESE.search(get("/nowhere", accept="*/*")["body"])
