"""The HTML pages, read back with an HTML parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import web_assets
from opencode_cloud.kit.content_codings import Coding, unpack
from opencode_cloud.sharing.rendering import pages
from opencode_cloud.sharing.rendering.outline import INLINE
from tests.unit.sharing.browser_side import ALLOWED, ATTRIBUTES
from tests.unit.sharing.conversation import (
    BEGIN,
    PIXEL,
    Item,
    assistant,
    conversation,
    item,
    model,
    part,
    session,
    tool,
    user,
)
from tests.unit.sharing.whole import whole_conversation

SHARE = "S" * 22
HOSTILE = [
    "<script>alert(1)</script>",
    "</div></ol></main><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "<!-- ",
    "</title><script>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "javascript:alert(1)",
]


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def the(self, name: str) -> dict[str, str | None]:
        (found,) = (attributes for _, attributes in self.elements if attributes.get("id") == name)
        return found

    def classed(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.elements if attributes.get("class") == name]


def written(items: Sequence[Item], seq: int = 20, **more: Any) -> str:
    whole = whole_conversation(items)
    return pages.render_share(ShareId(SHARE), whole.newest(), whole.heads, seq, "https://cloud.example", **more)


def render(items: Sequence[Item], seq: int = 20) -> Page:
    return Page(written(items, seq))


def pictures(page: Page) -> list[str]:
    """Return the addresses of all pictures but the brand's."""
    addresses = [image["src"] or "" for image in page.all("img")]
    return [address for address in addresses if not address.startswith("/assets/")]


def test_the_page_shows_title_facts_and_conversation() -> None:
    page = render(conversation())
    expected = [
        "twenty turns",
        "2026-11-23 01:02 UTC",
        "Stub One",
        "opencode 1.18.33",
        "Write two files, please.",
        "a.png · image/png · 48 B",
        "Thinking",
        "Here they are.",
        "$ echo hi 1",
        "32,530 tokens in · 20 out · $0.0326",
        "Files changed",
        "f2.txt",
        "opencode import https://cloud.example/share/" + SHARE,
    ]
    places = [page.text.find(words) for words in expected]
    assert -1 not in places, dict(zip(expected, places, strict=True))


def test_the_page_tells_its_script_from_where_to_go_on() -> None:
    share = render(conversation(), seq=41).the("share")
    assert (share["data-share"], share["data-seq"]) == (SHARE, "41")


def test_every_part_tells_its_key_and_its_place_in_the_log() -> None:
    page = render([user(), part("msg_1", "prt_1", "text", text="hi", seq=3)])
    (shown,) = page.classed("part")
    assert (shown["data-key"], shown["data-seq"], shown["data-at"]) == ("part/msg_1/prt_1", "3", str(BEGIN))


def test_parts_that_are_not_shown_still_tell_their_place() -> None:
    page = render([user(), part("msg_1", "prt_1", "text", text="")])
    assert [shown["data-kind"] for shown in page.classed("part")] == ["none"]


def test_line_breaks_survive_and_so_does_the_first() -> None:
    page = render([user(), tool("msg_1", output="\n\none\n  two\n")])
    assert '<pre class="output" tabindex="0">\n\n\none\n  two\n</pre>' in page.html


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_stay_words(words: str) -> None:
    names = [tag for tag, _ in render(everywhere("harmless")).elements]
    page = render(everywhere(words))
    assert [tag for tag, _ in page.elements] == names
    assert page.text.count(words) >= 10
    attributes = {name for _, found in page.elements for name in found}
    assert not any(name.startswith("on") or name == "style" for name in attributes)


@given(st.text())
def test_no_words_make_an_element_or_attribute_that_other_words_do_not(words: str) -> None:
    known = {(tag, *sorted(attributes)) for tag, attributes in render(everywhere("harmless")).elements}
    shown = render(everywhere(f"x{words}x")).elements  # never empty, because empty texts are not rendered
    made = {(tag, *sorted(attributes)) for tag, attributes in shown} - known
    assert {tag for tag, *_ in made} <= ALLOWED
    assert {name for _, *names in made for name in names} <= ATTRIBUTES | {
        "data-old",
        "data-new",
        "data-language",
        "data-file",
    }


def everywhere(words: str) -> list[Item]:
    return [
        session(title=words, version=words),
        model(id=words, name=words),
        item("session_diff", [{"file": words, "patch": f"@@\n+{words}", "status": words}]),
        user(agent=words, summary={"diffs": [{"file": words, "patch": ""}]}),
        part("msg_1", "prt_1", "text", text=words),
        part("msg_1", "prt_2", "file", filename=words, mime=words, url=words),
        assistant(role=words, agent=words, modelID=words, error={"name": words, "data": {"message": words}}),
        part("msg_2", "prt_3", "reasoning", text=words),
        tool(
            name="prt_4",
            tool=words,
            title=words,
            status=words,
            input={"a": words},
            output=words,
            error=words,
            attachments=[{"filename": words, "mime": words, "url": words}],
        ),
        part("msg_2", "prt_5", "patch", files=[words]),
        part("msg_2", "prt_6", "hologram", beam=words),
    ]


def test_ids_of_the_content_are_no_ids_of_the_page() -> None:
    page = render([user("status"), part("status", "share", "text", text="x"), user("location")])
    assert page.the("status")["role"] == "status"
    assert all(attributes.get("id") != "location" for _, attributes in page.elements)


def test_pictures_are_inline_or_not_there() -> None:
    page = render(
        [
            user(),
            part("msg_1", "prt_1", "file", filename="a.png", mime="image/png", url=PIXEL),
            part("msg_1", "prt_2", "file", filename="b.png", mime="image/png", url="https://example.com/b.png"),
            part(
                "msg_1", "prt_3", "file", filename="c.svg", mime="image/svg+xml", url="data:image/svg+xml;base64,AA=="
            ),
        ]
    )
    assert pictures(page) == [PIXEL]
    assert "example.com" not in page.html.replace("cloud.example", "")


def test_links_lead_within_the_page_or_are_marked_as_those_of_its_author() -> None:
    page = render(everywhere("https://evil.example javascript:alert(1)"))
    own = {
        "#content",
        "/",
        "/api/docs",
        f"/share/{SHARE}.md",
        f"/share/{SHARE}.json",
        "#changes",
        "#m-msg_1",
        "#m-msg_2",
    }
    assert own <= {link["href"] for link in page.all("a")}
    parts = ("#p-msg_1/", "#p-msg_2/")
    foreign = [link for link in page.all("a") if not (link["href"] in own or (link["href"] or "").startswith(parts))]
    assert foreign
    for link in foreign:
        assert link == {"href": "https://evil.example", "rel": "nofollow noopener noreferrer", "target": "_blank"}


@pytest.mark.parametrize("html", [pages.render_missing(), pages.render_gone(), written([], 0)])
def test_every_page_keeps_out_of_search_engines_and_within_its_policy(html: str) -> None:
    page = Page(html)
    assert {"name": "robots", "content": "noindex, nofollow, noarchive, nosnippet"} in page.all("meta")
    assert page.all("style") == []
    assert all(script.get("src", "").startswith("/assets/") for script in page.all("script"))  # pyright: ignore
    assert not any("style" in attributes for _, attributes in page.elements)


def test_the_policy_allows_our_scripts_our_socket_and_nothing_inline() -> None:
    assert pages.HEADERS["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert "connect-src 'self' https://b.example;" in pages.content_security_policy("https://b.example")


def test_an_item_that_is_stored_elsewhere_is_a_placeholder_that_tells_where() -> None:
    page = render([user(), Item("part/msg_1/prt_1", "part", b"", seq=9), Item("message/msg_2", "message", b"", seq=8)])
    assert page.classed("part")[0]["data-href"] == f"/share/{SHARE}/items/9"
    assert [shown.get("data-href") for shown in page.classed("message")] == [None, f"/share/{SHARE}/items/8"]
    assert "Large part" in page.text


def test_a_large_picture_is_a_placeholder_with_its_name() -> None:
    url = PIXEL + "A" * 4 * INLINE
    page = render([user(), part("msg_1", "prt_1", "file", filename="a.png", mime="image/png", url=url, seq=9)])
    assert pictures(page) == []
    assert "a.png · image/png · 196.6 KB" in page.text
    assert page.classed("part")[0]["data-href"] == f"/share/{SHARE}/items/9"
    assert len(page.html) < INLINE


def test_large_changes_of_the_session_are_left_to_the_script() -> None:
    diff = {"file": "big.txt", "patch": "+x\n" * INLINE, "additions": 1, "deletions": 0}
    page = render([item("session_diff", [diff], seq=5)])
    assert page.the("changes")["data-href"] == f"/share/{SHARE}/items/5"
    assert "big.txt" not in page.text
    assert "hidden" not in page.the("changes"), "a hidden element would never come near the window"


def test_of_a_long_session_the_page_holds_the_newest_turns_and_leads_to_the_others() -> None:
    items = [user(f"msg_{n:05}", BEGIN + n) for n in range(5_000)]
    items += [part(f"msg_{n:05}", "prt_1", "text", text=f"text {n} " + '"' * 500) for n in range(5_000)]
    page = render(items, seq=10_000)
    assert page.the("share")["data-seq"] == "10000"
    assert "text 0 " not in page.text
    assert "text 4999 " in page.text
    shown = len(page.classed("message"))
    assert f"{5_000 - shown:,} earlier messages are not on this page" in page.text
    assert page.the("earlier")["data-cursor"] == f"msg_{5_000 - shown:05}"
    assert {"class": "button", "href": f"/share/{SHARE}?before=msg_{5_000 - shown:05}"} in page.all("a")
    assert "hidden" in page.the("later")
    assert len(page.html) < 5_000_000


def test_of_one_endless_message_the_page_holds_the_newest_parts() -> None:
    items = [user(), *(part("msg_1", f"prt_{n:05}", "text", text=f"text {n} " + "x" * 400) for n in range(5_000))]
    page = render(items)
    assert "text 4999 " in page.text
    assert len(page.html) < 5_000_000
    assert str(page.the("earlier")["data-cursor"]).startswith("msg_1/prt_0")


@pytest.mark.parametrize(
    "items",
    [
        [],
        [session(title=None, time=None)],
        [part("msg_1", "prt_1", "text", text="x")],
        [assistant(time={"created": BEGIN}), part("msg_2", "prt_1", "text", text="")],
        [item("messages", {"sessionID": "ses_x", "messages": [{"type": "user", "text": "hello"}, 7]})],
        [item("messages", None), item("session", [1]), item("model", "x"), item("session_diff", {})],
        [Item("message/m", "message", b"not json"), Item("part/m/p", "part", b'{"text":"\\ud800"}')],
    ],
)
def test_incomplete_and_malformed_shares_have_a_page(items: list[Item]) -> None:
    assert render(items).the("share")["data-share"] == SHARE


def test_reads_in_a_row_are_one_and_are_counted() -> None:
    reads = [tool(name=f"prt_{n}", tool=name) for n, name in enumerate(["read", "read", "grep"])]
    page = render([assistant(), *reads, part("msg_2", "prt_9", "text", text="x"), tool(name="prt_91", tool="read")])
    assert len(page.classed("run")) == 1
    assert "2 reads, 1 search" in page.text


def test_messages_that_the_user_took_back_say_so() -> None:
    revert = {"messageID": "msg_3"}
    items = [
        session(revert=revert),
        user(),
        assistant(),
        user("msg_3", BEGIN + 9_000),
        assistant("msg_4", BEGIN + 9_500),
    ]
    page = render(items)
    assert ["data-undone" in shown for shown in page.classed("message")] == [False, False, True, True]
    assert page.text.count("undone") == 2


def test_a_second_answer_of_the_same_agent_repeats_no_names() -> None:
    page = render(
        [user(), assistant(), assistant("msg_3", BEGIN + 2_000), assistant("msg_4", BEGIN + 3_000, agent="plan")]
    )
    assert ["data-continues" in shown for shown in page.classed("message")] == [False, False, True, False]


def test_assets_of_this_version_can_be_kept_for_good_and_others_cannot() -> None:
    page = render([])
    script = next(script for script in page.all("script") if (script["src"] or "").endswith("share.js"))
    versioned = web_assets.static_asset((script["src"] or "").removeprefix("/assets/"))
    plain = web_assets.static_asset("share.js")
    outdated = web_assets.static_asset("0123456789ab/share.js")
    assert versioned
    assert plain
    assert outdated
    assert versioned.body == plain.body == outdated.body
    assert versioned.media_type == "text/javascript"
    assert versioned.cache_control == "public, max-age=31536000, immutable"
    assert plain.cache_control == outdated.cache_control == "public, max-age=60"


@pytest.mark.parametrize("coding", [Coding.ZSTD, Coding.GZIP])
def test_a_packed_asset_is_the_same_file_and_smaller(coding: Coding) -> None:
    asset = web_assets.static_asset("follow.js")
    assert asset
    packed = web_assets.packed(asset, coding)
    assert unpack(packed, coding) == asset.body
    assert len(packed) < len(asset.body) / 2


@pytest.mark.parametrize("path", ["", "../templates/share.html", "share.html", "/etc/passwd", "0123456789ab/../x", "."])
def test_nothing_but_static_files_is_an_asset(path: str) -> None:
    assert web_assets.static_asset(path) is None


def test_modules_and_styles_name_nothing_from_elsewhere() -> None:
    folder = Path(web_assets.__file__).resolve().parents[4] / "web" / "static"
    libraries = {"highlight.js", "markdown-it.js"}
    names = {path.name for path in folder.iterdir() if path.suffix in (".css", ".js")} - libraries
    assert len(names) > 20
    for name in names:
        asset = web_assets.static_asset(name)
        assert asset
        assert not re.search(rb"https?://|//[a-z]+\.", asset.body)
        assert b"innerHTML" not in asset.body


@pytest.mark.parametrize(("age_ms", "left_ms"), [(0, 60_000), (59_000, 1_000), (60_000, 0), (9_999_999, 0)])
def test_an_empty_share_says_after_a_minute_what_probably_happened(age_ms: int, left_ms: int) -> None:
    page = Page(written([], 0, age_ms=age_ms))
    notice = page.the("silent")
    assert notice["data-after"] == str(left_ms)
    assert ("hidden" in notice) == (left_ms > 0)
    for words in ("too large", "6 MB in one upload", "share the session once more", "container, which takes 32 MB"):
        assert words in page.text


def test_in_a_container_nobody_is_sent_to_the_operator() -> None:
    page = Page(written([], 0, age_ms=60_000, upload_mb=32))
    assert "32 MB in one upload" in page.text
    assert "operator" not in page.text


def test_a_share_with_data_has_no_such_notice() -> None:
    assert "Nothing has arrived" not in render([session()]).text


def test_preparing_reads_every_template_of_sharing() -> None:
    pages.prepare()
    environment = pages._environment()  # pyright: ignore[reportPrivateUsage]
    read = {name for _, name in environment.cache or {}}
    assert read == set(pages.TEMPLATES)
    pages.render_missing()
    written([], 0)
    assert {name for _, name in environment.cache or {}} == read, "nothing is left to compile with a request"
