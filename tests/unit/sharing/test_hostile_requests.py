"""Requests of strangers that try to stop, mislead or enumerate: each gets an ordinary answer, in ordinary time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from opencode_cloud.contracts.names import LONGEST, clean_text, shown_name
from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.sharing.models import Item, Mode
from opencode_cloud.sharing.protocol import tickets
from opencode_cloud.sharing.rendering.lenient import plain
from tests.machine import slowness
from tests.unit.aws import Cloud
from tests.unit.sharing.browser_side import BrowserSide
from tests.unit.sharing.test_comments import COLLEAGUE, NOBODY, OWNER, PATH
from tests.unit.sharing.test_line_comments import Review
from tests.unit.sharing.test_owner_panel import SHARE

ACCENTS = "a" + "\N{COMBINING ACUTE ACCENT}\N{COMBINING GRAVE ACCENT BELOW}" * 80_000
"""Unicode's composition of this text takes 48 s."""
SECONDS = 1.0
REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.fixture
def review(cloud: Cloud) -> Review:
    return Review(cloud)


@pytest.fixture(scope="module")
def browser_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserSide]:
    running = BrowserSide(tmp_path_factory.mktemp("static"))
    yield running
    running.close()


def ask(review: Review, path: str, cookie: str = NOBODY, **query: str) -> Any:
    return review.answer("GET", path, cookie, query=query, accept="*/*")


def test_a_password_of_many_accents_is_refused_at_once() -> None:
    hashed = tickets.hash_password("correct horse")
    began = time.thread_time()
    assert not tickets.is_password(ACCENTS, hashed)
    assert time.thread_time() - began < SECONDS * slowness()


def test_the_longest_password_is_taken_in_each_form() -> None:
    composed, parts = (
        "\N{LATIN SMALL LETTER O WITH DIAERESIS AND MACRON}",
        "o\N{COMBINING DIAERESIS}\N{COMBINING MACRON}",
    )
    hashed = tickets.hash_password(composed * tickets.LONGEST_PASSWORD)
    assert tickets.is_password(parts * tickets.LONGEST_PASSWORD, hashed)


def test_a_name_of_many_accents_is_refused_at_once() -> None:
    began = time.thread_time()
    with pytest.raises(BadRequest, match="longer than 255 characters"):
        clean_text(ACCENTS)
    assert shown_name(ACCENTS)
    assert time.thread_time() - began < SECONDS * slowness()
    assert clean_text("e\N{COMBINING ACUTE ACCENT}" * LONGEST) == "\N{LATIN SMALL LETTER E WITH ACUTE}" * LONGEST


@pytest.mark.parametrize("path", ["unlock", "comments", "owner"])
def test_a_form_of_a_million_fields_is_refused_before_it_is_read(review: Review, path: str) -> None:
    review.open(Mode.PASSWORD)
    body = "a=b&" * 1_500_000
    began = time.thread_time()
    answer = review.answer(
        "POST", f"/share/{SHARE.id}/{path}", OWNER, body=body, site="same-origin", form=True, accept="*/*"
    )
    assert answer["statusCode"] == 400
    assert "A form has at most" in answer["body"]
    assert time.thread_time() - began < SECONDS * slowness()


@pytest.mark.parametrize("url", ["http://[::1/share/x", "http://[x]/share/x", "//[", "\ud800", "share/shr_1", ""])
def test_a_description_of_an_address_that_is_none_is_not_found(review: Review, url: str) -> None:
    assert ask(review, "/share/oembed", url=url)["statusCode"] == 404


@pytest.mark.parametrize("share", ["\N{CJK UNIFIED IDEOGRAPH-4E2D}", "\N{SUPERSCRIPT TWO}", "a%0d%0ab", ".."])
def test_a_short_link_leads_to_ids_only(review: Review, share: str) -> None:
    """An address with other characters than ASCII is no valid header of a redirect."""
    assert ask(review, f"/s/{share}")["statusCode"] == 404


@pytest.mark.parametrize("end", [".json", ".md", "/items", "/items/1"])
def test_documents_are_not_listed_by_search_engines_and_not_read_as_html(review: Review, end: str) -> None:
    headers = ask(review, f"/share/{SHARE.id}{end}")["headers"]
    assert headers["X-Robots-Tag"] == "noindex, nofollow"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("mode", [Mode.WORKSPACE, Mode.PASSWORD])
@pytest.mark.parametrize(
    "path", ["", ".json", ".md", "/items", "/items/1", "/messages", "/prompts", "/search", "/comments", "/card.png"]
)
def test_a_restricted_share_tells_strangers_nothing_of_its_content(review: Review, mode: Mode, path: str) -> None:
    review.publish(Item(key="session", type="session", data=b'{"id":"s","title":"A secret plan"}'))
    review.mark({"file": "src/app.py", "first": 40}, text="A secret remark")
    review.open(mode)
    answer = ask(review, f"/share/{SHARE.id}{path}")
    assert answer["headers"]["Cache-Control"] == "private, no-store"
    assert "secret" not in json.dumps(answer)
    assert "return result" not in json.dumps(answer)
    described = ask(review, "/share/oembed", COLLEAGUE, url=f"https://cloud.example/share/{SHARE.id}")
    assert "secret" not in described["body"], "a program that embeds links would store it for others"


def test_the_card_of_a_restricted_share_is_the_same_for_all_titles(review: Review) -> None:
    review.open(Mode.WORKSPACE)
    before = ask(review, f"/share/{SHARE.id}/card.png", COLLEAGUE)["body"]
    review.publish(Item(key="session", type="session", data=b'{"id":"s","title":"A secret plan"}'))
    assert ask(review, f"/share/{SHARE.id}/card.png", COLLEAGUE)["body"] == before


def test_marks_of_direction_do_not_change_what_readers_see(review: Review, browser_side: BrowserSide) -> None:
    """A mark of direction shows code in another order than a compiler reads it (CVE-2021-42574)."""
    code = f"if (isAdmin {REORDERING}) {{ // check"
    assert plain(code) == "if (isAdmin ) { // check"
    assert browser_side.call("blocks", "plain", code) == plain(code)
    right_to_left = "\N{HEBREW LETTER ALEF}\N{RIGHT-TO-LEFT MARK} a"
    assert plain(right_to_left) == right_to_left == browser_side.call("blocks", "plain", right_to_left)
    title = {"id": "s", "title": f"Fix gpj.{REORDERING}exe"}
    review.publish(Item(key="session", type="session", data=json.dumps(title).encode()))
    shown = [
        review.page()["body"],
        ask(review, f"/share/{SHARE.id}.md")["body"],
        json.loads(ask(review, "/share/oembed", url=f"https://x/share/{SHARE.id}")["body"])["title"],
    ]
    for text in shown:
        assert "Fix gpj.exe" in text
        assert not set(REORDERING) & set(text)


@pytest.mark.parametrize("text", ["\u200b", " \u2060\ufeff ", "\u202e"])
def test_a_comment_that_nobody_can_see_is_refused(review: Review, text: str) -> None:
    status, body = review.say(text)
    assert (status, body["error"]) == (400, "invalid_comment")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("[" * 100_000, 400),
        ('{"text": "x", "lines": {"file": "a", "first": 1e400}}', 400),
        (f'{{"text": "x", "lines": {{"file": "a", "first": {"9" * 5000}}}}}', 400),
        ('{"text": "x", "item": "\\u0000"}', 404),
        ('{"text": "\\ud800"}', 201),
    ],
)
def test_hostile_bodies_of_comments_get_ordinary_answers(review: Review, body: str, status: int) -> None:
    answer = review.answer("POST", PATH, COLLEAGUE, body=body, site="same-origin", accept="*/*")
    assert answer["statusCode"] == status


@pytest.mark.parametrize("cursor", ["x" * 5000, "\0", "\ud800", "msg_1/" * 2000, "-1", "9" * 400])
@pytest.mark.parametrize("name", ["before", "since", "at", "from"])
def test_hostile_cursors_get_ordinary_answers(review: Review, name: str, cursor: str) -> None:
    for path in ("", "/messages"):
        assert ask(review, f"/share/{SHARE.id}{path}", **{name: cursor})["statusCode"] in (200, 302, 404)


HUGE = "9" * 300
DATA = {
    "numbers": f'"tokens":{{"input":{HUGE},"output":1e308}},"cost":1e299,"time":{{"created":{HUGE},"completed":-1}}',
    "depth": '"summary":' + "[" * 190 + "]" * 190,
    "types": '"tokens":[],"cost":"x","time":7,"summary":{"diffs":{"a":1}}',
    "a long line": f'"error":{{"name":"{"x" * 200_000}"}}',
}


@pytest.mark.parametrize("name", DATA)
def test_hostile_data_is_shown_to_readers(review: Review, name: str) -> None:
    data = f'{{"id":"msg_1","role":"user",{DATA[name]}}}'
    review.publish(Item(key="message/msg_1", type="message", data=data.encode()))
    for path in ("", ".json", ".md", "/items", "/messages", "/prompts", "/card.png"):
        assert ask(review, f"/share/{SHARE.id}{path}")["statusCode"] == 200, path
