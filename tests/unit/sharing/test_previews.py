"""The routes for previews of links: a picture and an oEmbed description, neutral for restricted shares."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.errors import Unauthorized
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.sharing.rendering.card import Summary, render_card, summarize
from opencode_cloud.sharing.routes.readers import ReaderRoutes
from opencode_cloud.sharing.service.access import Visitor
from opencode_cloud.sharing.service.reading import ShareReader
from opencode_cloud.sharing.service.windows import Conversation
from tests.unit.sharing.conversation import conversation
from tests.unit.sharing.whole import whole_conversation

SHARE = "S" * 22


class OneShare(msgspec.Struct):
    id: str = SHARE


class Reading:
    """Reads of one share, which may be restricted. ``views`` counts those that are views."""

    def __init__(self, *, ticket: str = "", refused: bool = False) -> None:
        self.ticket, self.refused, self.views = ticket, refused, 0

    def conversation(self, share_id: ShareId, _visitor: Visitor, *, is_view: bool = False) -> Conversation:
        assert share_id == SHARE
        self.views += is_view
        if self.refused:
            raise Unauthorized("login_required", "Sign in.")
        return whole_conversation(conversation(), OneShare(), self.ticket)


def get(reading: Reading, path: str, **query: str) -> dict[str, Any]:
    app = HttpRoutes()
    nothing = cast("Any", None)
    ReaderRoutes(cast("ShareReader", reading), nothing, nothing, nothing, public_url="https://cloud.example").mount(app)
    context = {"http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"}, "stage": "$default", "requestId": "r"}
    event = {"rawPath": path, "rawQueryString": "", "queryStringParameters": query, "headers": {}, "body": None}
    return app.answer({**event, "isBase64Encoded": False, "requestContext": context}, None)


def picture(reading: Reading) -> bytes:
    answer = get(reading, f"/share/{SHARE}/card.png")
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "image/png"
    assert answer["headers"]["Cache-Control"] == "private, no-store"
    return base64.b64decode(answer["body"])


def test_the_picture_shows_the_share_and_is_no_view() -> None:
    reading, whole = Reading(), whole_conversation(conversation())
    assert picture(reading) == render_card(summarize(whole.single, whole.heads))
    assert reading.views == 0


def test_the_picture_of_a_restricted_share_says_nothing_about_it() -> None:
    assert picture(Reading(refused=True)) == picture(Reading(ticket="t")) == render_card(Summary())


def test_a_program_that_embeds_links_learns_title_and_picture() -> None:
    answer = get(Reading(), "/share/oembed", url=f"https://cloud.example/share/{SHARE}")
    described = json.loads(answer["body"])
    assert described["type"] == "link"
    assert described["title"] == "twenty turns"
    assert described["thumbnail_url"] == f"https://cloud.example/share/{SHARE}/card.png"


def test_only_pages_of_shares_are_described() -> None:
    for query in ({}, {"url": "https://cloud.example/"}, {"url": f"https://x/share/{SHARE}", "format": "xml"}):
        assert get(Reading(), "/share/oembed", **query)["statusCode"] == 404
    assert get(Reading(refused=True), "/share/oembed", url=f"https://x/share/{SHARE}")["statusCode"] == 401
    title = json.loads(get(Reading(ticket="t"), "/share/oembed", url=f"https://x/share/{SHARE}")["body"])["title"]
    assert title == "A shared session"


def test_a_browser_gets_a_page_for_an_error() -> None:
    app = HttpRoutes()
    nothing = cast("Any", None)
    ReaderRoutes(nothing, nothing, nothing, nothing, public_url="").mount(app)
    context = {
        "http": {"method": "GET", "path": "/s/a.b", "sourceIp": "192.0.2.1"},
        "stage": "$default",
        "requestId": "r",
    }
    event = {
        "rawPath": "/s/a.b",
        "rawQueryString": "",
        "body": None,
        "isBase64Encoded": False,
        "requestContext": context,
    }
    found = app.answer({**event, "headers": {"accept": "text/html"}}, None)
    assert found["statusCode"] == 404
    assert "<h1>Page not found</h1>" in found["body"]
    assert json.loads(app.answer({**event, "headers": {}}, None)["body"])["error"] == "share_not_found"
