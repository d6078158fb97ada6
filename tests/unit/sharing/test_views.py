"""Parts as elements: what a reader sees of each kind, and that server and browser make the same of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.gallery import Gallery
from opencode_cloud.sharing.rendering.blocks import block, diffs
from opencode_cloud.sharing.rendering.generations import converted
from opencode_cloud.sharing.rendering.lenient import decode, mapping
from opencode_cloud.sharing.rendering.nodes import Node, html, words_of
from opencode_cloud.sharing.rendering.patches import files_of, patch_nodes
from opencode_cloud.sharing.rendering.terminal import terminal
from opencode_cloud.sharing.rendering.views import block_nodes, changes_nodes, context_title, session_link, session_of
from tests.unit.sharing.browser_side import BrowserSide, merged

PARTS: list[dict[str, Any]] = [item["data"] for item in Gallery().items() if item["type"] == "part"]


@pytest.fixture(scope="module")
def browser_side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserSide]:
    running = BrowserSide(tmp_path_factory.mktemp("static"))
    yield running
    running.close()


def nodes_of(part: dict[str, Any]) -> list[Node]:
    shown = block(mapping(decode(json.dumps(part).encode())))
    return block_nodes(shown) if shown else []


def compare(browser_side: BrowserSide, part: dict[str, Any]) -> None:
    server = msgspec.to_builtins(nodes_of(part))
    assert merged(server) == merged(browser_side.call("views", "partNodes", part)), part


def tool(name: str, given: object, output: str = "", **state: Any) -> dict[str, Any]:
    whole = {"status": "completed", "input": given, "output": output, "metadata": {}, **state}
    return {"type": "tool", "tool": name, "state": whole}


def shown(part: dict[str, Any]) -> str:
    return str(html(nodes_of(part)))


def test_server_and_browser_make_the_same_of_each_part_of_the_gallery(browser_side: BrowserSide) -> None:
    assert len(PARTS) > 60
    for part in PARTS:
        compare(browser_side, part)


VALUES = st.recursive(
    st.sampled_from(
        [None, True, 0, 1, 2, "", "x", "completed", "a\nb", "@@ -1 +1 @@\n-a\n+b", "\x1b[31mred", "# h", "/home/a/b.py"]
    )
    | st.text(alphabet="ab \n+-@`*é🙂", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "todos",
                        "content",
                        "status",
                        "files",
                        "diff",
                        "before",
                        "after",
                        "edits",
                        "oldString",
                        "newString",
                    ),
                    *(
                        "patchText",
                        "questions",
                        "question",
                        "options",
                        "label",
                        "answers",
                        "diagnostics",
                        "x",
                        "severity",
                    ),
                    *(
                        "message",
                        "range",
                        "start",
                        "line",
                        "output",
                        "exit",
                        "command",
                        "filePath",
                        "url",
                        "prompt",
                        "results",
                    ),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TOOLS = ("bash", "read", "write", "edit", "multiedit", "apply_patch", "todowrite", "task", "webfetch", "question", "x")


@given(
    st.sampled_from(TOOLS),
    st.fixed_dictionaries(
        {},
        optional={
            "input": VALUES,
            "metadata": VALUES,
            "output": VALUES,
            "error": VALUES,
            "status": VALUES,
            "title": VALUES,
            "time": VALUES,
            "attachments": VALUES,
            "raw": VALUES,
        },
    ),
)
def test_server_and_browser_make_the_same_of_any_tool_call(
    browser_side: BrowserSide, name: str, state: dict[str, Any]
) -> None:
    compare(browser_side, {"type": "tool", "tool": name, "state": state})


@given(
    st.lists(
        st.sampled_from(
            [
                "@@ -1,2 +1,3 @@",
                "@@",
                "--- a/x",
                "+++ b/x",
                "+a b",
                "-a c",
                " d",
                "",
                "Index: x",
                "====",
                "diff --git a b",
                "*** Add File: y",
                "\\ No newline",
                "+++ /dev/null",
                "--- /dev/null",
                "+-",
                "++ x",
            ]
        ),
        max_size=14,
    )
)
def test_server_and_browser_read_the_same_from_any_patch(browser_side: BrowserSide, lines: list[str]) -> None:
    patch = "\n".join(lines)
    files = files_of(patch)
    read = browser_side.call("patches", "filesOf", patch)
    assert [(each.file, each.status, each.additions, each.deletions) for each in files] == [
        (each["file"], each["status"], each["additions"], each["deletions"]) for each in read
    ]
    for file, other in zip(files, read, strict=True):
        server = msgspec.to_builtins(patch_nodes(file.lines))
        assert merged(server) == merged(browser_side.call("patches", "patchNodes", other["lines"]))


@given(st.text(alphabet="\x1b[0;1m348957 a\r\n\x07]J", max_size=60))
def test_server_and_browser_show_the_same_output(browser_side: BrowserSide, output: str) -> None:
    assert merged(msgspec.to_builtins(terminal(output))) == merged(browser_side.call("terminal", "terminal", output))


def test_session_changes_are_the_same_on_both_sides(browser_side: BrowserSide) -> None:
    changes = next(item["data"] for item in Gallery().items() if item["type"] == "session_diff")
    read = browser_side.call("blocks", "diffs", changes)
    assert merged(msgspec.to_builtins(changes_nodes(diffs(changes)))) == merged(
        browser_side.call("views", "changesNodes", read)
    )
    assert context_title(["read", "grep", "glob", "read"]) == "2 reads, 2 searches"
    assert browser_side.call("views", "contextTitle", ["read", "grep", "glob", "read"]) == "2 reads, 2 searches"


def test_a_command_shows_its_exit_code_and_its_colors() -> None:
    card = shown(tool("bash", {"command": "x"}, "\x1b[31mno\x1b[0m\n", metadata={"exit": 2}))
    assert '<span class="state">exit 2</span>' in card
    assert 'data-status="failed"' in card
    assert '<span class="ink-1">no</span>\n</pre>' in card


def test_a_long_output_is_folded_and_says_how_much_is_hidden() -> None:
    output = "\n".join(f"line {n}" for n in range(1, 101)) + "\n"
    card = shown(tool("bash", {"command": "seq"}, output))
    assert "<summary>76 lines hidden</summary>" in card
    assert words_of(nodes_of(tool("bash", {"command": "seq"}, output))).count("line ") == 100
    assert "hidden" not in shown(tool("bash", {"command": "seq"}, "\n" * 40))


def test_an_edit_is_a_change_with_numbers_and_marked_words_and_no_noise() -> None:
    patch = "Index: a.py\n=====\n--- a.py\n+++ a.py\n@@ -3,2 +3,2 @@\n x\n-total = 0.0\n+total = 0\n"
    card = shown(tool("edit", {"filePath": "/home/ada/a.py"}, metadata={"diff": patch}))
    assert "Index:" not in card
    assert "====" not in card
    assert '<span class="line removed" data-old="4">-total = 0<mark>.0</mark>\n</span>' in card
    assert '<span class="line added" data-new="4">+total = 0\n</span>' in card
    assert '<span class="plus">+1</span>' in card


def test_a_change_names_its_file_for_comments_on_lines() -> None:
    patch = "@@ -3,2 +3,2 @@\n x\n-a\n+b\n"
    assert 'data-file="~/a.py"' in shown(tool("edit", {"filePath": "/home/ada/a.py"}, metadata={"diff": patch}))
    several = shown(tool("edit", {}, metadata={"results": [{"diff": patch}, {"diff": f"--- a.py\n+++ b.py\n{patch}"}]}))
    assert several.count('data-file=""') == several.count("<b>unnamed file</b>") == 1
    assert several.count('data-file="b.py"') == 1


def test_an_edit_without_a_patch_is_made_from_its_arguments() -> None:
    card = shown(tool("edit", {"filePath": "a.py", "oldString": "a\nb\nc", "newString": "a\nB\nc"}))
    assert '<span class="line" data-old="1" data-new="1"> a\n</span>' in card
    assert '<span class="line removed" data-old="2">-b\n</span>' in card


def test_a_patch_of_several_files_shows_each() -> None:
    patch = "*** Begin Patch\n*** Update File: a.py\n@@\n-a\n+b\n*** Add File: c.py\n+x\n*** End Patch"
    card = shown(tool("apply_patch", {"patchText": patch}))
    assert card.count('<details class="change">') == 2
    assert "End Patch" not in card
    assert '<b>c.py</b><span class="status">added</span>' in card


def test_todos_are_a_list_with_progress() -> None:
    todos = [{"content": "one", "status": "completed"}, {"content": "two", "status": "in_progress"}]
    card = shown(tool("todowrite", {"todos": todos}, json.dumps(todos)))
    assert "1 of 2 done" in card
    assert '<li data-status="in progress">' in card
    assert '"status"' not in card.replace("data-status", "")


def test_a_file_that_was_read_is_code_without_numbers() -> None:
    card = shown(tool("read", {"filePath": "/x/a.py"}, "<file>\n00001| def a():\n00002|     pass\n</file>\n"))
    assert '<code class="language-py">def a():\n    pass</code>' in card


def test_a_question_shows_the_options_and_the_answer() -> None:
    question = {"question": "Which?", "options": [{"label": "A"}, {"label": "B"}]}
    card = shown(tool("question", {"questions": [question]}, metadata={"answers": [["B"]]}))
    assert '<li data-status="not chosen">' in card
    assert '<li data-status="chosen">' in card


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("/home/ada/shop/a.py", "~/shop/a.py"),
        ("in /Users/ada: x", "in ~: x"),
        ("C:\\Users\\Ada\\a", "~\\a"),
        ("file:///home/ada/a", "file://~/a"),
        ("https://example.com/home/ada", "https://example.com/home/ada"),
        ("my/home/ada", "my/home/ada"),
    ],
)
def test_home_directories_do_not_name_people(words: str, seen: str) -> None:
    card = nodes_of(tool("bash", {"command": words}, words, title=words, error=words))
    assert words_of(card).count(seen) == 4


def test_a_compaction_says_what_was_dropped_and_leads_there() -> None:
    note = shown({"type": "compaction", "overflow": True, "tail_start_id": "msg_1"})
    assert '<a href="#m-msg_1">Context compacted, because it was full: a summary replaces' in note


FIRST_GENERATION: dict[str, Any] = {
    "id": "msg_1",
    "role": "assistant",
    "parts": [
        {"type": "text", "text": "old **words**"},
        {"type": "file", "mediaType": "image/png", "filename": "a.png", "url": "https://example.com/a.png"},
        {
            "type": "tool-invocation",
            "toolInvocation": {
                "state": "result",
                "toolCallId": "c1",
                "toolName": "bash",
                "args": {"command": "ls"},
                "result": "x",
            },
        },
        {"type": "step-start"},
    ],
    "metadata": {
        "time": {"created": 1_750_000_000_000, "completed": 1_750_000_002_000},
        "assistant": {"modelID": "m", "providerID": "p", "cost": 0.1, "tokens": {"input": 5, "output": 2}},
        "tool": {"c1": {"title": "List", "time": {"start": 1, "end": 1_001}}},
    },
}


def test_a_message_of_the_first_generation_is_read_alike_on_both_sides(browser_side: BrowserSide) -> None:
    found = list(converted("message/msg_1", json.dumps(FIRST_GENERATION).encode()))
    item = {"seq": 1, "at": 1, "type": "message", "key": "message/msg_1", "data": FIRST_GENERATION}
    read = browser_side.call("generations", "firstGeneration", item)
    assert [kind for kind, _, _ in found] == ["message", "part", "part", "part", "part"]
    assert [(kind, key) for kind, key, _ in found] == [(each["type"], each["key"]) for each in read]
    for (_, _, value), other in zip(found, read, strict=True):
        assert {name: member for name, member in value.items() if member is not None} == other["data"]
    assert "$ ls" in shown(dict(found[3][2]))
    assert found[0][2]["modelID"] == "m"


@pytest.mark.parametrize("part", [*PARTS, {"tool": "task", "state": {"metadata": {"sessionId": 7}}}, {"tool": "task"}])
def test_both_sides_know_the_session_of_a_sub_agent(browser_side: BrowserSide, part: dict[str, Any]) -> None:
    session = session_of(part)
    assert browser_side.call("views", "sessionOf", part) == session
    link = browser_side.call("views", "sessionLink", session, "/share/x")
    assert link == msgspec.to_builtins(session_link(session, "/share/x"))
