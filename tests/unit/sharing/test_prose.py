"""Markdown of users and models: what a reader sees, and that server and browser make the same of it."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opencode_cloud.sharing.rendering.nodes import html
from opencode_cloud.sharing.rendering.prose import LIMIT, prose, settled
from tests.unit.sharing.browser_side import ALLOWED, ATTRIBUTES, BrowserSide, merged

ANSWER = """## What was wrong

The cart summed **floats**, so `0.1` was *wrong*, and ~~late~~.

1. first
2. second

- loose

- items

```python
def total(items):
    return sum(items)  # not a ## heading
```

| currency | before | after |
|---|---:|:-:|
| EUR | 30.000000000000004 | `30.00` |

> quoted

- [x] done
- [ ] open

[docs](https://example.com/docs "t") and https://example.com/a_(b)?c=d. Also <https://example.com/angle>.
![remote](https://example.com/x.png) and [file](shop/cart.py)

---

The sum $\\sum_{i=1}^n p_i q_i$ costs $5-$6.
"""
HOSTILE = [
    "<script>window.hit=1</script>",
    "<img src=x onerror='window.hit=1'>",
    "[x](javascript:window.hit=1)",
    "[x](&#106;avascript:window.hit=1)",
    "[x](java\tscript:window.hit=1)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x) [y](file:///etc/passwd) [z](//evil.example/x)",
    "![x](javascript:window.hit=1) ![y](data:image/svg+xml;base64,AA==)",
    '[x](https://example.com/"onmouseover="window.hit=1)',
    '[x](https://example.com "\\" onload=\\"window.hit=1")',
    "<javascript:window.hit=1> <data:text/html,x>",
    '```"><script>window.hit=1</script>\nx\n```',
    "```x onload=window.hit=1\nx\n```",
    "[a]: javascript:window.hit=1\n\n[a]",
    "| <b onclick=window.hit=1> |\n|---|\n| </table><script>x</script> |",
    "1. <svg/onload=window.hit=1>",
    "https://example.com/<script>window.hit=1</script>",
    "https://example.com/'onclick='window.hit=1",
    "mailto:x@example.com?body=<script>",
    "\\<script>x\\</script>",
    "&lt;script&gt;window.hit=1&lt;/script&gt;",
]


class Elements(HTMLParser):
    def __init__(self, words: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(words)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def shown(words: str, *, finished: bool = True) -> Elements:
    return Elements(html(prose(words, finished=finished)))


@pytest.fixture(scope="module")
def browser_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserSide]:
    running = BrowserSide(tmp_path_factory.mktemp("static"))
    yield running
    running.close()


def both(browser_side: BrowserSide, words: str, *, finished: bool = True) -> tuple[Any, Any]:
    server = msgspec.to_builtins(prose(words, finished=finished))
    return merged(server), merged(browser_side.call("prose", "prose", words, finished))


def test_an_answer_is_shown_as_people_expect_it() -> None:
    text = str(html(prose(ANSWER)))
    for piece in (
        "<h3>What was wrong</h3>",
        "<strong>floats</strong>",
        "<code>0.1</code>",
        "<s>late</s>",
        "<ol><li>first</li><li>second</li></ol>",
        '<code class="language-python">def total(items):',
        '<th class="right">before</th><th class="center">after</th>',
        "<blockquote><p>quoted</p></blockquote>",
        'aria-label="done"',
        '<code class="math">$\\sum_{i=1}^n p_i q_i$</code> costs $5-$6.',
    ):
        assert piece in text
    for mark in ("## ", "**", "```", "|---", "[x]", "~~"):
        assert mark not in shown(ANSWER).words.replace("# not a ## heading", "")


def test_links_lead_to_the_web_or_to_mail_and_say_nothing_of_the_reader() -> None:
    links = [attributes for tag, attributes in shown(ANSWER).found if tag == "a"]
    assert [link["href"] for link in links] == [
        "https://example.com/docs",
        "https://example.com/a_(b)?c=d",
        "https://example.com/angle",
        "https://example.com/x.png",
    ]
    assert {(link["rel"], link["target"]) for link in links} == {("nofollow noopener noreferrer", "_blank")}


def test_pictures_are_named_and_never_loaded() -> None:
    page = shown("![a **cat**](https://example.com/x.png) ![](x.png)")
    assert "img" not in {tag for tag, _ in page.found}
    assert "Image: a cat" in page.words
    assert "Image: no description" in page.words


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_markdown_makes_only_harmless_elements(words: str, browser_side: BrowserSide) -> None:
    for attempt in (words, f"- {words}", f"> {words}", f"| a |\n|---|\n| {words} |", f"**{words}**"):
        found = shown(attempt).found
        assert {tag for tag, _ in found} <= ALLOWED
        assert {name for _, attributes in found for name in attributes} <= ATTRIBUTES
        for _, attributes in found:
            target = attributes.get("href") or "https://"
            assert target.lower().startswith(("https://", "http://", "mailto:"))
        server, browser = both(browser_side, attempt)
        assert server == browser


@pytest.mark.parametrize("finished", [True, False])
def test_server_and_browser_make_the_same_of_an_answer_at_each_length(
    finished: bool, browser_side: BrowserSide
) -> None:
    for end in range(0, len(ANSWER), 7):
        server, browser = both(browser_side, ANSWER[:end], finished=finished)
        assert server == browser, ANSWER[:end]


# Not among them: spaces beyond ASCII, which one parser strips from the ends of a paragraph and the other keeps.
PIECES = st.sampled_from(
    [
        *(
            "**",
            "*",
            "_",
            "`",
            "``",
            "```",
            "~~",
            "~~~",
            "# ",
            "## ",
            "- ",
            "1. ",
            "> ",
            "\n",
            "\n\n",
            "    ",
            "\t",
            "|",
        ),
        *(
            "|---|",
            "|:-:|",
            "[",
            "](",
            ")",
            "![",
            "<",
            ">",
            "https://",
            "example.com",
            "http://a.b/c_d",
            "mailto:",
            "$",
            "$$",
        ),
        *(
            "&amp;",
            "&",
            "\\",
            "[x] ",
            "[ ] ",
            "---",
            "===",
            "a",
            "word ",
            "x_y",
            "é",
            "购物车",
            "。",
            "🙂",
            '"',
            "'",
            "(",
            "!",
        ),
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join), st.booleans())
@settings(max_examples=300)
def test_server_and_browser_make_the_same_of_anything(browser_side: BrowserSide, words: str, finished: bool) -> None:
    server, browser = both(browser_side, words, finished=finished)
    assert server == browser


@given(st.lists(PIECES, max_size=40).map("".join))
@example("<script>one</script> **<b onclick='two'>three</b>**")
def test_no_markdown_makes_another_element_or_attribute(words: str) -> None:
    found = shown(words).found
    assert {tag for tag, _ in found} <= ALLOWED
    assert {name for _, attributes in found for name in attributes} <= ATTRIBUTES


@pytest.mark.parametrize("words", ["Head\n===\n\ntext\n---\n- a", "- a\n  ---", "> a\n> ==="])
def test_a_line_under_a_text_makes_no_heading_on_either_side(browser_side: BrowserSide, words: str) -> None:
    server, browser = both(browser_side, words)
    assert server == browser
    assert not {"h3", "h4"} & {tag for tag, _ in shown(words).found}


@pytest.mark.parametrize(
    ("arriving", "looks_like"),
    [
        ("some **bold te", "some **bold te**"),
        ("some **", "some "),
        ("a `cod", "a `cod`"),
        ("see [the docs](https://exam", "see the docs"),
        ("text\n-", "text"),
        ("text\n\n| a | b |\n|--", "text\n\n| a | b |"),
        ("```python\nx = **1", "```python\nx = **1"),
        ("done.\n\nnext ~~wo", "done.\n\nnext ~~wo~~"),
        ("two **bold**", "two **bold**"),
    ],
)
def test_a_text_that_arrives_looks_like_what_it_will_be(arriving: str, looks_like: str) -> None:
    assert settled(arriving) == looks_like


def test_while_an_answer_arrives_its_earlier_blocks_stay_as_they_are() -> None:
    whole = [str(html([node])) for node in prose(ANSWER)]
    for end in range(0, len(ANSWER), 3):
        blocks = [str(html([node])) for node in prose(ANSWER[:end], finished=False)]
        assert blocks[:-1] == whole[: max(0, len(blocks) - 1)], ANSWER[:end]


def test_an_endless_text_is_shown_as_it_was_written() -> None:
    (block,) = prose("*a* " * LIMIT)
    assert str(html([block])).startswith('<p class="plain">*a* ')


def test_modules_are_those_of_the_pinned_packages() -> None:
    root = Path(__file__).resolve().parents[3]
    packages = {
        "markdown-it.js": "markdown-it/dist/browser/markdown-it.esm.min.mjs",
        "highlight.js": "@highlightjs/cdn-assets/es/highlight.min.js",
    }
    for name, path in packages.items():
        assert (root / "web/static" / name).read_bytes() == (root / "node_modules" / path).read_bytes()
