"""Properties of a request before it is forwarded: model, limits, prompt size, parts of unknown size."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import (
    InvalidRequest,
    forward_request,
    overhead_of,
    prompt_bytes,
    read_request,
    text_of,
    tool_names,
    wire_format,
)
from opencode_cloud.gateway.formats.models import ModelRequest, PathTarget
from opencode_cloud.gateway.formats.prompt_size import DOCUMENT_TOKENS, TOOL_TOKENS
from tests.unit.gateway.formats.speaking import FORMATS, MODEL, as_asked, ask, encode, requests

DATA_URL = "data:image/png;base64,AAAABBBB"


def user(format_: Format, *parts: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a request with one message of these parts."""
    if format_ is Format.GENERATE:
        return {"contents": [{"role": "user", "parts": list(parts)}]}
    key = "input" if format_ is Format.RESPONSES else "messages"
    return {key: [{"role": "user", "content": list(parts)}]}


def test_model_and_stream_are_read_where_each_format_has_them() -> None:
    assert ask(Format.CHAT, stream=True).stream
    assert ask(Format.CHAT).model == MODEL
    asked = read_request(
        Format.GENERATE, b'{"contents":[{"parts":[{"text":"x"}]}]}', PathTarget("gemini-3", stream=True)
    )
    assert (asked.model, asked.stream) == ("gemini-3", True)


@pytest.mark.parametrize(
    ("format_", "members", "most"),
    [
        (Format.CHAT, {}, None),
        (Format.CHAT, {"max_tokens": 5}, 5),
        (Format.CHAT, {"max_completion_tokens": 6}, 6),
        (Format.CHAT, {"max_tokens": 5, "max_completion_tokens": 6}, 6),
        (Format.MESSAGES, {"max_tokens": 7}, 7),
        (Format.RESPONSES, {"max_output_tokens": 8}, 8),
        (Format.GENERATE, {"generationConfig": {"maxOutputTokens": 9}}, 9),
        (Format.GENERATE, {"generation_config": {"max_output_tokens": 9}}, 9),
    ],
)
def test_the_limit_of_an_answer_is_read_by_every_name_of_it(
    format_: Format, members: dict[str, Any], most: int | None
) -> None:
    assert ask(format_, **members).max_output == most


def test_several_answers_are_counted() -> None:
    assert ask(Format.CHAT, n=3).answers == 3
    assert ask(Format.GENERATE, generationConfig={"candidateCount": 2}).answers == 2
    assert ask(Format.MESSAGES).answers == 1


@pytest.mark.parametrize(
    ("format_", "part", "images", "documents"),
    [
        (Format.CHAT, {"type": "image_url", "image_url": {"url": DATA_URL}}, 1, 0),
        (Format.CHAT, {"type": "file", "file": {"filename": "a", "file_data": "data:application/pdf;base64,AA"}}, 0, 1),
        (Format.CHAT, {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}, 0, 1),
        (
            Format.MESSAGES,
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}},
            1,
            0,
        ),
        (
            Format.MESSAGES,
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A"}},
            0,
            1,
        ),
        (
            Format.MESSAGES,
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            0,
            0,
        ),
        (Format.RESPONSES, {"type": "input_image", "image_url": DATA_URL}, 1, 0),
        (
            Format.RESPONSES,
            {"type": "input_file", "filename": "a", "file_data": "data:application/pdf;base64,AA"},
            0,
            1,
        ),
        (Format.GENERATE, {"inlineData": {"mimeType": "image/png", "data": "AA"}}, 1, 0),
        (Format.GENERATE, {"inline_data": {"mime_type": "application/pdf", "data": "AA"}}, 0, 1),
    ],
)
def test_pictures_and_files_are_counted_and_bounded(
    format_: Format, part: dict[str, Any], images: int, documents: int
) -> None:
    asked = ask(format_, **user(format_, part))
    assert (asked.images, asked.documents, asked.unbounded) == (images, documents, "")
    assert prompt_bytes(asked) >= images * wire_format(format_).image_tokens + documents * DOCUMENT_TOKENS
    assert "AAAABBBB" not in text_of(asked)


def test_text_in_a_document_of_messages_is_counted() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "a thousand words"}
    assert "a thousand words" in text_of(
        ask(Format.MESSAGES, **user(Format.MESSAGES, {"type": "document", "source": source}))
    )


def test_a_picture_within_a_tools_result_is_counted() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [picture]}
    assert ask(Format.MESSAGES, **user(Format.MESSAGES, result)).images == 1


def test_a_screenshot_of_a_computer_is_counted() -> None:
    def returned(**shot: str) -> dict[str, Any]:
        output = {"type": "computer_screenshot", **shot}
        return {"input": [{"type": "computer_call_output", "call_id": "c", "output": output}]}

    assert ask(Format.RESPONSES, **returned(image_url=DATA_URL)).images == 1
    assert ask(Format.RESPONSES, **returned(file_id="file-1")).unbounded


def test_a_file_within_what_a_tool_of_the_provider_returned_earlier_is_counted() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "A"}
    fetched = {"type": "web_fetch_result", "url": "https://x", "content": {"type": "document", "source": source}}
    result = {"type": "web_fetch_tool_result", "tool_use_id": "s", "content": fetched}
    assert ask(Format.MESSAGES, **user(Format.MESSAGES, result)).documents == 1


def test_only_the_base64_of_pictures_and_files_is_left_out_of_the_text() -> None:
    details = [{"type": "reasoning.encrypted", "data": "earlier thoughts", "format": "any"}]
    answer = {"role": "assistant", "content": "x", "reasoning_details": details}
    assert "earlier thoughts" in text_of(ask(Format.CHAT, messages=[answer]))
    source = {"type": "text", "media_type": "text/plain", "data": "many words", "format": "any"}
    document = {"type": "document", "source": source}
    assert "many words" in text_of(ask(Format.MESSAGES, **user(Format.MESSAGES, document)))


def test_a_role_of_any_length_is_counted() -> None:
    role = "a role that says more than its message " * 10
    assert role in text_of(ask(Format.CHAT, messages=[{"role": role, "content": "x"}]))
    assert "user" not in text_of(ask(Format.CHAT))


def test_every_tool_is_counted_also_where_one_entry_holds_several() -> None:
    functions = [{"name": name, "parameters": {"type": "OBJECT"}} for name in ("f", "g", "h")]
    one = ask(Format.GENERATE, tools=[{"functionDeclarations": functions[:1]}])
    for key in ("functionDeclarations", "function_declarations"):
        assert overhead_of(ask(Format.GENERATE, tools=[{key: functions}])) == overhead_of(one) + 2 * TOOL_TOKENS


UNBOUNDED: list[tuple[Format, dict[str, Any]]] = [
    (Format.CHAT, user(Format.CHAT, {"type": "image_url", "image_url": {"url": "https://x/a.png"}})),
    (Format.CHAT, user(Format.CHAT, {"type": "file", "file": {"file_id": "file-1"}})),
    (Format.CHAT, {"chat_template": "{% for _ in range(100000) %}x{% endfor %}"}),
    (Format.MESSAGES, user(Format.MESSAGES, {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}})),
    (Format.MESSAGES, user(Format.MESSAGES, {"type": "document", "source": {"type": "file", "file_id": "file_1"}})),
    (Format.MESSAGES, user(Format.MESSAGES, {"type": "container_upload", "file_id": "file_1"})),
    (Format.MESSAGES, {"thread": {"type": "continue", "previous_message_id": "msg_1"}}),
    (Format.RESPONSES, {"previous_response_id": "resp_1"}),
    (Format.RESPONSES, {"conversation": "conv_1"}),
    (Format.RESPONSES, {"prompt": {"id": "pmpt_1"}}),
    (Format.RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}]}),
    (Format.RESPONSES, {"input": [{"id": "msg_1"}]}),
    (Format.RESPONSES, user(Format.RESPONSES, {"type": "input_file", "file_id": "file-1"})),
    (Format.RESPONSES, user(Format.RESPONSES, {"type": "input_image", "file_id": "file-1"})),
    (Format.GENERATE, {"cachedContent": "cachedContents/1"}),
    (Format.GENERATE, {"cached_content": "cachedContents/1"}),
    (Format.GENERATE, user(Format.GENERATE, {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x/v"}})),
]


@pytest.mark.parametrize(("format_", "members"), UNBOUNDED)
def test_what_makes_the_size_of_a_prompt_unknowable_is_named(format_: Format, members: dict[str, Any]) -> None:
    assert ask(format_, **members).unbounded


SEARCH = {"type": "web_search_20260318", "name": "w"}
FUNCTION = {"type": "function", "name": "f"}


@pytest.mark.parametrize(
    ("format_", "members", "left_out"),
    [
        (Format.CHAT, {"web_search_options": {}}, ("web_search_options",)),
        (Format.CHAT, {"tools": [{"type": "web_search"}], "tool_choice": "auto"}, ("tools.web_search",)),
        (Format.CHAT, {"tools": [{"type": "function", "function": {"name": "f"}}]}, ()),
        (Format.MESSAGES, {"tools": [SEARCH], "tool_choice": {"type": "auto"}}, ("tools.web_search_20260318",)),
        (Format.MESSAGES, {"tools": [{"type": "bash_20250124", "name": "bash"}, {"name": "f"}]}, ()),
        (Format.MESSAGES, {"mcp_servers": [{"type": "url", "name": "m", "url": "https://m"}]}, ("mcp_servers",)),
        (Format.MESSAGES, {"container": "c_1"}, ("container",)),
        (Format.RESPONSES, {"tools": [{"type": "code_interpreter"}, FUNCTION]}, ("tools.code_interpreter",)),
        (Format.RESPONSES, {"tools": [{"type": "shell", "environment": {"type": "local"}}]}, ()),
        (Format.RESPONSES, {"tools": [{"type": "a_new_one"}], "parallel_tool_calls": True}, ("tools.a_new_one",)),
        (
            Format.RESPONSES,
            {"input": [{"role": "user", "content": "x"}, {"type": "additional_tools", "tools": [{"type": "mcp"}]}]},
            ("tools.mcp",),
        ),
        (
            Format.GENERATE,
            {"tools": [{"googleSearch": {}, "functionDeclarations": [{"name": "f"}]}]},
            ("tools.googleSearch",),
        ),
        (Format.GENERATE, {"tools": [{"google_search": {}}], "tool_config": {}}, ("tools.google_search",)),
    ],
)
def test_offered_tools_of_the_provider_are_left_out_with_the_members_that_depend_on_them(
    format_: Format, members: dict[str, Any], left_out: tuple[str, ...]
) -> None:
    asked = ask(format_, **members)
    assert (asked.hosted_tools, asked.dropped) == ((), left_out)
    sent = forward_request(asked, format_, "m", str)
    assert sent.dropped == left_out
    text = sent.body.decode()
    assert not any(f'"{name.rpartition(".")[2]}"' in text for name in left_out)
    kept = [tool for tool in tool_names(asked) if tool.name == "f"]
    if left_out and not kept:
        assert not {"tools", "tool_choice", "parallel_tool_calls", "tool_config"} & set(json.loads(text))


@pytest.mark.parametrize(
    ("format_", "members", "hosted"),
    [
        (Format.CHAT, {"modalities": ["text", "image"]}, ("image output",)),
        (Format.CHAT, {"tools": [{"type": "web_search"}], "tool_choice": "required"}, ("web_search",)),
        (Format.CHAT, {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}, ("web_search",)),
        (Format.MESSAGES, {"tools": [SEARCH], "tool_choice": {"type": "any"}}, ("web_search_20260318",)),
        (
            Format.MESSAGES,
            {"tools": [SEARCH, {"name": "f"}], "tool_choice": {"type": "tool", "name": "w"}},
            ("web_search_20260318",),
        ),
        (Format.RESPONSES, {"tools": [{"type": "mcp"}], "tool_choice": {"type": "mcp"}}, ("mcp",)),
        (
            Format.RESPONSES,
            {"tools": [{"type": "mcp"}], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": []}},
            ("mcp",),
        ),
        (Format.GENERATE, {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, ("image output",)),
    ],
)
def test_what_the_provider_runs_and_the_client_insists_on_is_named(
    format_: Format, members: dict[str, Any], hosted: tuple[str, ...]
) -> None:
    assert ask(format_, **members).hosted_tools == hosted


@pytest.mark.parametrize(
    ("format_", "members"),
    [
        (Format.RESPONSES, {"previous_response_id": "resp_1"}),
        (Format.RESPONSES, {"conversation": "conv_1"}),
        (Format.RESPONSES, {"prompt": {"id": "pmpt_1"}}),
        (Format.RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        (Format.MESSAGES, {"thread": {"type": "continue", "previous_message_id": "msg_1"}}),
        (Format.GENERATE, {"cachedContent": "cachedContents/1"}),
    ],
)
def test_contents_that_a_provider_stores_are_named(format_: Format, members: dict[str, Any]) -> None:
    assert ask(format_, **members).stored
    assert not ask(format_).stored


@pytest.mark.parametrize(
    ("model", "members", "include"),
    [
        ("gpt-5.4", {}, ["reasoning.encrypted_content"]),
        ("gpt-5.4", {"store": True, "include": ["x"]}, ["x", "reasoning.encrypted_content"]),
        ("gpt-5.4", {"store": False}, None),
        ("gpt-4o", {}, None),
    ],
)
def test_nothing_is_stored_at_a_provider(model: str, members: dict[str, Any], include: list[str] | None) -> None:
    body = json.loads(forward_request(ask(Format.RESPONSES, **members), Format.RESPONSES, model, str).body)
    assert body["store"] is False
    assert body.get("include") == include
    chat = forward_request(ask(Format.CHAT, store=True), Format.CHAT, model, str)
    assert "store" not in json.loads(chat.body)


@pytest.mark.parametrize(
    ("format_", "members", "tier"),
    [
        (Format.CHAT, {"service_tier": "auto"}, ""),
        (Format.CHAT, {"service_tier": "default"}, "standard"),
        (Format.CHAT, {"service_tier": "flex"}, "flex"),
        (Format.CHAT, {"service_tier": "priority"}, "priority"),
        (Format.RESPONSES, {"service_tier": "fast"}, "fast"),
        (Format.RESPONSES, {"reasoning": {"mode": "pro"}}, "reasoning mode pro"),
        (Format.MESSAGES, {"service_tier": "standard_only"}, "standard"),
        (Format.MESSAGES, {"service_tier": "auto"}, ""),
        (Format.MESSAGES, {"speed": "fast"}, "fast"),
        (Format.MESSAGES, {"inference_geo": "us"}, "inference_geo us"),
        (Format.GENERATE, {"serviceTier": "priority"}, "priority"),
        (Format.GENERATE, {"service_tier": "SERVICE_TIER_FLEX"}, "flex"),
        (Format.GENERATE, {}, "standard"),
    ],
)
def test_the_tier_that_a_client_asks_for_is_named(format_: Format, members: dict[str, Any], tier: str) -> None:
    assert ask(format_, **members).tier == tier


@pytest.mark.parametrize(
    ("format_", "members", "named"),
    [
        (Format.CHAT, {"Model": "dear"}, "`model`"),
        (Format.CHAT, {"MAX_TOKENS": 1_000_000}, "`max_tokens`"),
        (Format.CHAT, {"\u017ftream": True}, "`stream`"),
        (Format.CHAT, {"models": ["dear"]}, "models"),
        (Format.CHAT, {"fallbacks": ["dear"]}, "fallbacks"),
        (Format.CHAT, {"api_base": "https://elsewhere"}, "api_base"),
        (Format.RESPONSES, {"background": True}, "background"),
        (Format.CHAT, {"max_tokens": -1}, "max_tokens"),
        (Format.CHAT, {"max_tokens": 1.5}, "max_tokens"),
        (Format.CHAT, {"max_tokens": 10**40}, "max_tokens must be at least 1 and at most 2147483647"),
        (Format.GENERATE, {"generationConfig": {"candidateCount": 2**31}}, "candidateCount"),
        (Format.CHAT, {"max_tokens": "many"}, "max_tokens"),
        (Format.CHAT, {"n": 0}, "n must be"),
        (Format.CHAT, {"n": -1}, "n must be"),
        (Format.CHAT, {"n": 2**31}, "n must be"),
        (Format.CHAT, {"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        (Format.CHAT, {"messages": []}, "messages"),
        (Format.CHAT, {"messages": [{"content": "x"}]}, "messages[0].role"),
        (Format.CHAT, {"messages": ["x"]}, "messages[0] must be an object"),
        (Format.CHAT, {"model": ""}, "model"),
        (Format.MESSAGES, {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        (
            Format.GENERATE,
            {"generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 1_000_000}},
            "twice",
        ),
        (Format.GENERATE, {"generationConfig": {}, "generation_config": {"max_output_tokens": 9}}, "twice"),
    ],
)
def test_requests_that_could_mean_something_else_upstream_are_refused_by_name(
    format_: Format, members: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask(format_, **members)
    assert named in refused.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"model":"\x80"}',
        b'{"model":1e999}',
        b'{"model":NaN}',
        b'{"model":"m","max_tokens":Infinity}',
        b"[" * 100_000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
)
@pytest.mark.parametrize("format_", FORMATS)
def test_bodies_that_are_no_request_are_refused(format_: Format, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_request(format_, body, PathTarget("m", stream=False))


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["model", "messages", "input", "contents", "parts", "role", "content", "type", "tools"]
                ),
                x,
            )
        ),
    ).map(encode)
)
@settings(max_examples=100)
def test_no_body_whatever_does_more_than_be_refused(body: bytes) -> None:
    for format_ in FORMATS:
        try:
            asked = read_request(format_, body, PathTarget("m", stream=False))
        except InvalidRequest:
            continue
        assert prompt_bytes(asked) >= 0


def test_halves_of_surrogate_pairs_are_read() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"cut \\ud83d"}]}'
    assert "cut \ufffd" in text_of(read_request(Format.CHAT, body))


@pytest.mark.parametrize("format_", FORMATS)
@given(request=requests())
@settings(max_examples=30)
def test_every_word_of_a_request_is_counted(format_: Format, request: ModelRequest) -> None:
    asked = as_asked(format_, request)
    text = text_of(asked)
    for message in request.messages:
        for block in message.blocks:
            if (words := getattr(block, "text", "")) and words.strip() not in text:
                raise AssertionError(words)
    for tool in request.tools:
        assert tool.name in text
        assert json.dumps(tool.description, ensure_ascii=False)[1:-1] in text or tool.description in text
    assert prompt_bytes(asked) == len(text.encode()) + overhead_of(asked)


def test_what_a_server_may_add_to_the_prompt_by_members_of_its_own_is_counted() -> None:
    asked = ask(Format.CHAT, documents=[{"title": "t", "text": "retrieved"}], chat_template="injected", user="u-1")
    assert "retrieved" in text_of(asked)
    assert "injected" in text_of(asked)
    assert "u-1" not in text_of(asked)


def test_names_within_tools_and_arguments_are_counted_as_the_model_sees_them() -> None:
    schema = {"type": "object", "properties": {"a_long_name_of_a_parameter": {"type": "string"}}}
    tool = {"name": "f", "input_schema": schema}
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {"a_long_name_of_a_parameter": 1}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": [use]}]
    assert text_of(ask(Format.MESSAGES, tools=[tool], messages=messages)).count("a_long_name_of_a_parameter") == 2
