"""Edits change one value and nothing else, in each format."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud_connect.errors import NotEditable
from opencode_cloud_connect.files import masked
from opencode_cloud_connect.formats import ABSENT
from opencode_cloud_connect.formats.blocks import BLOCKS
from opencode_cloud_connect.formats.jsonc import JSONC
from opencode_cloud_connect.formats.lines import DOTENV, YAML
from opencode_cloud_connect.formats.toml import TOML

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
SPACES = st.sampled_from(
    ["", " ", "\n", "\n    ", "\t", ' // a comment, with: "marks" {\n', "/* one\n * more */", "\r\n"]
)


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """Write a value with comments, white space and trailing commas anywhere."""
    space = draw(SPACES)
    if not isinstance(value, dict):
        return space + json.dumps(value, ensure_ascii=draw(st.booleans())) + draw(SPACES)
    members = [
        draw(SPACES) + json.dumps(name) + draw(SPACES) + ":" + draw(written(each)) for name, each in value.items()
    ]
    end = draw(st.sampled_from(["", ","])) if members else ""
    return space + "{" + ",".join(members) + end + draw(SPACES) + "}" + draw(SPACES)


OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(NAMES, min_size=1, max_size=3)


def read(text: str) -> Any:
    return JSONC.read(text, [])


def with_value(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    if not isinstance(document, dict):
        raise NotEditable("a path through a scalar")
    return {**document, path[0]: with_value(document.get(path[0], {}), path[1:], value)}


@given(OBJECTS.flatmap(lambda value: st.tuples(st.just(value), written(value))), PATHS, VALUES)
def test_a_value_is_put_into_any_json_and_all_else_stays(
    case: tuple[dict[str, Any], str], path: list[str], value: Any
) -> None:
    document, text = case
    assert read(text) == document
    try:
        expected = with_value(document, path, value)
    except NotEditable:
        with pytest.raises(NotEditable):
            JSONC.put(text, path, value)
        return
    changed = JSONC.put(text, path, value)
    assert read(changed) == expected
    comments = text.count("// a comment")
    if JSONC.read(text, path) is ABSENT:
        assert changed.count("// a comment") == comments


@given(OBJECTS.flatmap(lambda value: st.tuples(st.just(value), written(value))), st.data())
def test_a_member_is_dropped_from_any_json_and_all_else_stays(
    case: tuple[dict[str, Any], str], data: st.DataObject
) -> None:
    document, text = case
    name = data.draw(st.sampled_from(sorted(document)) if document else NAMES)
    expected = {key: value for key, value in document.items() if key != name}
    assert read(JSONC.drop(text, [name])) == expected


def test_json_keeps_indentation_comments_and_a_trailing_comma() -> None:
    text = '{\n    // first\n    "a": 1, // one\n}\n'
    assert JSONC.put(text, ["b", "c"], "x") == (
        '{\n    // first\n    "a": 1, // one\n    "b": {\n      "c": "x"\n    },\n}\n'
    )
    assert JSONC.put('{"a": 1}', ["b"], 2) == '{"a": 1, "b": 2}'
    assert JSONC.put("", ["b"], 2) == '{\n  "b": 2\n}\n'
    assert JSONC.put('{\n  "a": 1 // one\n}', ["b"], 2) == '{\n  "a": 1, // one\n  "b": 2\n}'


@pytest.mark.parametrize("text", ["{", '{"a" 1}', '{"a": 1,, }', '{"a": 1} x', "[1]", '{"a": tru}', '{"a": "\n"}'])
def test_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(NotEditable):
        JSONC.put(text, ["b"], 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'model = "old"\n',
        "[a]\nb = 1\n",
        '# head\n\nother = [\n  "[x]",\n]\n\n# about a\n[a]\nmodel = "inner"\n\n[[b]]\nc = 1',
        '[model_providers.other]\nname = "x"\n\n[model_providers."ours"]\nname = "old" # old\n\n[z]\n',
    ],
)
def test_toml_gets_a_key_and_a_table_and_loses_them_again(text: str) -> None:
    changed = TOML.put(text, ["model"], "new")
    changed = TOML.put(changed, ["model_providers", "ours"], {"name": "Ours", "n": 1})
    document, before = tomllib.loads(changed), tomllib.loads(text)
    assert document.pop("model") == "new"
    assert document.pop("model_providers")["ours"] == {"name": "Ours", "n": 1}
    assert document == {name: value for name, value in before.items() if name not in ("model", "model_providers")}
    dropped = TOML.drop(TOML.drop(changed, ["model"]), ["model_providers", "ours"])
    before.pop("model", None)
    assert before.get("model_providers", {}).pop("ours", None) is None or "ours" in text
    if before.get("model_providers") == {}:
        before.pop("model_providers")
    assert tomllib.loads(dropped) == before
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in comments if line not in dropped] == []


@pytest.mark.parametrize("form", [DOTENV, YAML], ids=["env", "yaml"])
@pytest.mark.parametrize("before", ["", "A", "# A\nB"])
def test_lines_are_replaced_or_added_and_dropped(form: Any, before: str) -> None:
    text = form.put("# note\n", ["B"], "old") if "B" in before else "# note"
    changed = form.put(form.put(text, ["B"], "new"), ["C"], "more")
    assert (form.read(changed, ["B"]), form.read(changed, ["C"]), form.read(changed, ["D"])) == ("new", "more", ABSENT)
    assert changed.startswith("# note\n")
    assert form.drop(form.drop(changed, ["C"]), ["B"]) == "# note\n"


@pytest.mark.parametrize("before", ["", "- a: 1\n", "# x\n  - a: 1\n    b: 2", "- a: 1\n- c: 2\n"])
def test_a_block_takes_the_lists_indentation_and_is_replaced_whole(before: str) -> None:
    once = BLOCKS.put(before, [], "- ours: 1\n  more: 2\n")
    assert BLOCKS.read(once, []) == "- ours: 1\n  more: 2\n"
    assert BLOCKS.put(once, [], "- ours: 1\n  more: 2\n") == once
    assert BLOCKS.drop(once, []) == (before if not before or before.endswith("\n") else before + "\n")
    indents = {len(line) - len(line.lstrip()) for line in once.splitlines() if line.lstrip().startswith("- ")}
    assert len(indents) == 1


@pytest.mark.parametrize(
    "line",
    [
        '+    "ANTHROPIC_AUTH_TOKEN": "oc_sk_abcdefghijkl",',
        '-    "ANTHROPIC_API_KEY": "sk-secret"',
        "-OPENAI_API_KEY=sk-secret",
        "-openai-api-key: 'sk-secret'",
        '     "refreshToken": "sk-secret", "x": 1',
        '-  "args": ["--key", "sk-secret"], "x": []',
        "-KEY=1,sk-secret",
        '-KEY="begin sk-secret',
    ],
)
def test_values_of_secrets_are_masked(line: str) -> None:
    assert "sk-secret" not in masked(line, {"oc_sk_abcdefghijkl"})
    assert "abcdefgh" not in masked(line, {"oc_sk_abcdefghijkl"})


@pytest.mark.parametrize(
    "line", ['+env_key = "OPENCODE_CLOUD_KEY"', '+  "apiKey": "{file:/home/x/key}"', '+  "model": "m"']
)
def test_what_the_command_writes_is_not_masked(line: str) -> None:
    assert masked(line, {"OPENCODE_CLOUD_KEY", "{file:/home/x/key}", "m"}) == line
