"""A share as Markdown, read back with a Markdown parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.rendering.markdown import code, escape, fence, quote, render_markdown
from tests.unit.sharing.conversation import (
    BEGIN,
    PIXEL,
    Item,
    assistant,
    conversation,
    item,
    part,
    session,
    tool,
    user,
)

SHARE = "S" * 22
BASE = "https://cloud.example"
parse = MarkdownIt("commonmark").parse
writing = st.text(alphabet="\r\n# >a-`")
markup = st.text(alphabet="`~<>#*-_ \n!?abc/[]()\\\t1.")


def render(*items: Item, limit: int = 4_000_000) -> str:
    return render_markdown(ShareId(SHARE), items, BASE, limit)


def headings(document: str) -> list[str]:
    tokens = parse(document)
    own = (n for n, token in enumerate(tokens) if token.type == "heading_open" and token.level == 0)
    return [tokens[n + 1].content for n in own]


def fences(document: str) -> list[str]:
    return [token.content for token in parse(document) if token.type == "fence"]


def test_the_head_tells_title_address_date_model_and_usage() -> None:
    head = render(*conversation()).split("\n\n## ")[0]
    assert head.splitlines() == [
        "# twenty turns",
        "",
        f"- Session: <{BASE}/share/{SHARE}>",
        "- Date: 2026-11-23 01:02 UTC",
        "- Model: Stub One",
        "- Client: opencode 1.18.33",
        "- Usage: 741,951 tokens in · 720 out · $0.7400",
    ]


def test_a_conversation_reads_from_top_to_bottom() -> None:
    document = render(*conversation())
    expected = [
        "## 1. User · build · Stub One · 2026-11-23 01:02 UTC",
        "> Write two files, please.",
        "Attachment: `a.png · image/png · 48 B`",
        "## 2. Assistant",
        "*Thinking:*",
        "> First the one, then the other.",
        "> Here they are.",
        "**Tool `bash`** echo hi 1 (0.2 s)",
        "```\n$ echo hi 1\n```",
        "Output:\n\n```\nhi 1\n```",
        "*Changed /abs/path/proj/f2.txt*",
        "## Files changed in the session",
        "```diff\n@@ -0,0 +1 @@\n+two\n```",
    ]
    places = [document.find(words) for words in expected]
    assert -1 not in places
    assert places == sorted(places)


def test_files_go_by_their_name_never_by_their_content() -> None:
    assert PIXEL not in render(*conversation())


def test_messages_that_the_user_took_back_say_so() -> None:
    document = render(session(revert={"messageID": "msg_2"}), user(), assistant())
    assert "## 2. Assistant" in document
    assert document.count("*Undone: the user took this message back.*") == 1
    assert document.index("*Undone") > document.index("## 2.")


def test_todos_are_a_list() -> None:
    todos = [{"content": "one", "status": "completed"}, {"content": "*two*", "status": "pending"}]
    document = render(assistant(), tool(tool="todowrite", input={"todos": todos}, output="[]"))
    assert "- [x] one (done)\n- [ ] \\*two\\* (open)" in document
    assert "completed" not in document


def test_an_empty_share_is_a_document() -> None:
    assert render() == f"# Untitled session\n\n- Session: <{BASE}/share/{SHARE}>\n"


def test_incomplete_shares_say_what_is_missing() -> None:
    document = render(
        part("msg_9", "prt_1", "text", text="an orphan"),
        assistant(time={"created": BEGIN}),
        part("msg_2", "prt_1", "text", text=""),
        Item("part/msg_2/prt_2", "part", b""),
    )
    assert "*Not finished.*" in document
    assert "*A large part is left out here.*" in document
    assert "## 2. Message\n\n> an orphan" in document


def test_tool_output_cannot_leave_its_fence() -> None:
    output = "```\n# not a heading\n````\n~~~\n"
    document = render(assistant(), tool(output=output))
    assert output in fences(document)
    assert headings(document)[-1].startswith("1. Assistant")


def test_an_open_code_block_of_the_model_is_closed() -> None:
    document = render(
        assistant(), part("msg_2", "prt_1", "text", text="so:\n````python\nx = 1\n```"), user("msg_3", BEGIN + 9_000)
    )
    assert headings(document)[-1].startswith("2. User")


@pytest.mark.parametrize(
    "words", ["<!-- hidden", "<script>alert(1)", "<?php", "<![CDATA[", "- ~~~", "## 9. User", "a\n---"]
)
def test_what_somebody_wrote_ends_where_it_ends(words: str) -> None:
    document = render(user(), part("msg_1", "prt_1", "text", text=words), assistant())
    assert [heading[:2] for heading in headings(document)[1:]] == ["1.", "2."]


def test_titles_and_names_are_no_markup() -> None:
    document = render(
        session(title="a\n# b <img src=x> [c](javascript:d) `e`"),
        user(),
        part("msg_1", "prt_1", "file", filename="`x`\n# y", mime="text/plain", url=""),
    )
    assert len(headings(document)) == 2
    children = [child for token in parse(document) for child in token.children or []]
    assert {child.attrs["href"] for child in children if child.type == "link_open"} == {f"{BASE}/share/{SHARE}"}
    assert not any(child.type in ("html_inline", "image") for child in children)


def test_a_long_session_ends_at_the_limit_and_says_so() -> None:
    items = [user(f"msg_{n}", BEGIN + n) for n in range(10)]
    items += [part(f"msg_{n}", "prt_1", "text", text="x" * 1_000) for n in range(10)]
    document = render(*items, limit=4_500)
    assert len(document) < 4_700
    assert document.endswith(
        f"*6 more messages are left out here: the whole session is at <{BASE}/share/{SHARE}.json>.*\n"
    )


def test_a_second_generation_session_is_readable() -> None:
    blob = {"sessionID": "ses_x", "messages": [{"id": "m", "type": "user", "text": "hello"}]}
    assert "## 1. User\n\n> hello" in render(session(location={}), item("messages", blob))


@given(markup | writing)
def test_a_quotation_holds_all_of_what_it_quotes(words: str) -> None:
    assert headings(f"{quote(words)}\n\n## after") == ["after"]
    assert {token.type for token in parse(quote(words)) if token.level == 0} == {"blockquote_open", "blockquote_close"}


@given(markup)
def test_a_fence_gives_back_what_it_holds(words: str) -> None:
    document = f"{fence(words)}\n\n## after"
    assert fences(document) == [words.rstrip("\n") + "\n" if words.rstrip("\n") else fences(document)[0]]
    assert headings(document) == ["after"]


@given(st.text(alphabet="`ab ", min_size=1).filter(str.strip))
def test_inline_code_gives_back_what_it_holds(words: str) -> None:
    (inline,) = (token for token in parse(f"x {code(words)} y") if token.type == "inline")
    assert [child.content.strip() for child in inline.children or [] if child.type == "code_inline"] == [words.strip()]


@given(st.text(alphabet="\\`*_[]<>#|~ab!&;"))
def test_escaped_words_are_plain_text(words: str) -> None:
    (inline,) = (token for token in parse(f"x{escape(words)}x") if token.type == "inline")
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}
