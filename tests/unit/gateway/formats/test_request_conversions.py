"""Requests are converted to every other format with their meaning, or refused with the name of the member."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import InvalidRequest, conversions
from opencode_cloud.gateway.formats.models import (
    FileBlock,
    ImageBlock,
    ModelRequest,
    TextBlock,
    Turn,
)
from tests.unit.gateway.formats.speaking import (
    FORMATS,
    PAIRS,
    USER,
    as_asked,
    ask,
    forwarded,
    meaning,
    requests,
    understood,
)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(request=requests())
@settings(max_examples=25)
def test_a_request_keeps_its_meaning(client: Format, upstream: Format, request: ModelRequest) -> None:
    document = forwarded(as_asked(client, request), upstream)
    assert meaning(understood(upstream, document)) == meaning(request)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(request=requests())
@settings(max_examples=10)
def test_a_request_comes_back_as_it_was(client: Format, upstream: Format, request: ModelRequest) -> None:
    there = understood(upstream, forwarded(as_asked(client, request), upstream))
    back = forwarded(as_asked(upstream, there), client)
    assert meaning(understood(client, back)) == meaning(request)


@pytest.mark.parametrize("upstream", [Format.CHAT, Format.RESPONSES, Format.GENERATE])
def test_plain_strings_of_messages_are_not_dropped(upstream: Format) -> None:
    asked = ask(
        Format.MESSAGES,
        system="Be brief.",
        messages=[
            {"role": "user", "content": "plain question"},
            {"role": "assistant", "content": "plain answer"},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "plain result"}]},
        ],
    )
    text = json.dumps(forwarded(asked, upstream))
    for plain in ("Be brief.", "plain question", "plain answer", "plain result"):
        assert plain in text


@pytest.mark.parametrize("client", [Format.CHAT, Format.MESSAGES, Format.GENERATE])
def test_no_effort_verbosity_or_temperature_is_forced_on_responses(client: Format) -> None:
    document = forwarded(ask(client), Format.RESPONSES)
    assert "reasoning" not in document
    assert "text" not in document
    assert "temperature" not in document


def test_temperature_reaches_responses() -> None:
    assert forwarded(ask(Format.CHAT, temperature=0.3), Format.RESPONSES)["temperature"] == 0.3


def test_no_cache_marks_are_made_up_and_given_ones_are_kept() -> None:
    assert "cache_control" not in json.dumps(forwarded(ask(Format.CHAT), Format.MESSAGES))
    marked = [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    request = understood(Format.MESSAGES, ask(Format.MESSAGES, system=marked).document)
    assert request.system == (TextBlock("long", cache="1h"),)
    written = conversions.write_request(Format.MESSAGES, request, "m")
    assert written["system"] == marked


@pytest.mark.parametrize(("limit", "least"), [(7, 16), (700, 700)])
def test_the_limit_of_an_answer_is_raised_only_to_the_least_of_the_format(limit: int, least: int) -> None:
    for client in FORMATS:
        request = understood(client, ask(client).document)
        request = msgspec.structs.replace(request, max_output=limit)
        for upstream in FORMATS:
            document = forwarded(as_asked(client, request), upstream)
            raised = upstream is Format.RESPONSES and client is not upstream
            assert understood(upstream, document).max_output == (least if raised else limit)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "max_tokens"),
        ("kimi-k3", "max_tokens"),
        ("gpt-5.4", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("openai/gpt-5.4-nano", "max_completion_tokens"),
    ],
)
def test_the_limit_is_called_what_the_model_takes(model: str, name: str) -> None:
    assert forwarded(ask(Format.MESSAGES), Format.CHAT, model)[name] == 4096


def test_messages_always_names_a_limit() -> None:
    assert forwarded(ask(Format.CHAT), Format.MESSAGES)["max_tokens"] == 32_000


def test_a_stream_of_chat_is_asked_for_its_usage() -> None:
    document = forwarded(ask(Format.MESSAGES, stream=True), Format.CHAT)
    assert document["stream"] is True
    assert document["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_documents_and_remote_pictures_are_carried(client: Format, upstream: Format) -> None:
    pdf = FileBlock(media_type="application/pdf", data="JVBERi0=", name="a.pdf")
    photo = ImageBlock(url="https://example.com/a.png", media_type="image/png" if client is Format.GENERATE else "")
    request = ModelRequest(messages=(Turn("user", (TextBlock("read"), pdf, photo)),))
    text = json.dumps(forwarded(as_asked(client, request), upstream))
    assert "JVBERi0=" in text
    assert "https://example.com/a.png" in text


def test_blank_texts_that_anthropic_refuses_are_left_out() -> None:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": " "},
        {"role": "user", "content": "y"},
    ]
    document = forwarded(ask(Format.CHAT, messages=messages), Format.MESSAGES)
    assert [message["role"] for message in document["messages"]] == ["user", "user"]


def test_messages_of_the_system_within_a_conversation_are_not_lost() -> None:
    messages = [*USER, {"role": "assistant", "content": "Fine."}, {"role": "system", "content": "Be rude."}, *USER]
    asked = ask(Format.CHAT, messages=messages)
    reminder = "<system-reminder>\nBe rude.\n</system-reminder>"
    assert forwarded(asked, Format.MESSAGES)["messages"][2]["content"][0] == {"type": "text", "text": reminder}
    assert forwarded(asked, Format.GENERATE)["contents"][2]["parts"][0] == {"text": reminder}
    assert forwarded(asked, Format.RESPONSES)["input"][2]["role"] == "developer"


BASH = {"type": "bash_20250124", "name": "bash"}
REFUSED: list[tuple[Format, Format, dict[str, Any], str]] = [
    (Format.CHAT, Format.MESSAGES, {"n": 2}, "More than one answer"),
    (Format.CHAT, Format.MESSAGES, {"logprobs": True}, "logprobs"),
    (Format.CHAT, Format.MESSAGES, {"logit_bias": {"1": 5}}, "logit_bias"),
    (Format.CHAT, Format.MESSAGES, {"tool_choice": "required"}, "tool_choice"),
    (Format.RESPONSES, Format.CHAT, {"previous_response_id": "resp_1"}, "previous_response_id"),
    (Format.MESSAGES, Format.CHAT, {"tools": [BASH], "tool_choice": {"type": "tool", "name": "bash"}}, "`bash`"),
    (Format.MESSAGES, Format.CHAT, {"tools": [BASH], "tool_choice": {"type": "any"}}, "forces a tool call"),
    (Format.GENERATE, Format.CHAT, {"cachedContent": "c/1"}, "cachedContent"),
    (Format.GENERATE, Format.CHAT, {"generationConfig": {"speechConfig": {"voice": 1}}}, "speechConfig"),
    (Format.GENERATE, Format.CHAT, {"generation_config": {"response_logprobs": True}}, "response_logprobs"),
    (Format.GENERATE, Format.CHAT, {"generationConfig": {"candidateCount": 2}}, "More than one answer"),
    (Format.GENERATE, Format.CHAT, {"generationConfig": {"responseMimeType": "text/x.enum"}}, "text/x.enum"),
]


@pytest.mark.parametrize(("client", "upstream", "members", "named"), REFUSED)
def test_what_cannot_be_carried_over_is_refused_by_name(
    client: Format, upstream: Format, members: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        forwarded(ask(client, **members), upstream)
    assert named in refused.value.message
    assert refused.value.code == "invalid_request"


def test_sound_cannot_be_carried_to_messages() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    asked = ask(Format.CHAT, messages=[{"role": "user", "content": [part]}])
    assert "audio/wav" in json.dumps(forwarded(asked, Format.GENERATE))
    with pytest.raises(InvalidRequest, match="audio/wav"):
        forwarded(asked, Format.MESSAGES)


def test_sound_of_responses_reaches_the_formats_that_have_it() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    asked = ask(Format.RESPONSES, input=[{"role": "user", "content": [part]}])
    assert forwarded(asked, Format.CHAT)["messages"][0]["content"] == [part]
    inline = {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}}
    assert forwarded(asked, Format.GENERATE)["contents"][0]["parts"] == [inline]
    with pytest.raises(InvalidRequest, match="audio/mpeg"):
        forwarded(asked, Format.MESSAGES)


@pytest.mark.parametrize(
    ("media_type", "name"),
    [("audio/wav", "wav"), ("audio/x-wav", "wav"), ("audio/mpeg", "mp3"), ("audio/ogg", "ogg"), ("audio/x-m4a", "m4a")],
)
def test_sound_of_every_kind_is_sound_in_chat(media_type: str, name: str) -> None:
    part = {"inlineData": {"mimeType": media_type, "data": "AAAA"}}
    body = forwarded(ask(Format.GENERATE, contents=[{"parts": [part]}]), Format.CHAT)
    assert body["messages"][0]["content"][0]["input_audio"] == {"data": "AAAA", "format": name}


def test_sound_cannot_be_carried_to_responses() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    with pytest.raises(InvalidRequest, match=r"^sound or video cannot be carried over to the format"):
        forwarded(ask(Format.CHAT, messages=[{"role": "user", "content": [part]}]), Format.RESPONSES)


@pytest.mark.parametrize("target", [Format.CHAT, Format.MESSAGES, Format.GENERATE])
@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        *((kind, "Send the messages that it stands for") for kind in ("compaction", "context_compaction")),
        ("compaction_summary", "begin a new conversation"),
        ("compaction_trigger", "Ask the model for a summary"),
    ],
)
def test_a_compaction_that_no_other_model_can_read_is_refused_with_advice(
    target: Format, kind: str, advice: str
) -> None:
    items = [{"role": "user", "content": "x"}, {"type": kind, "encrypted_content": "gAAA"}]
    asked = ask(Format.RESPONSES, input=items)
    assert forwarded(asked, Format.RESPONSES)["input"] == items
    with pytest.raises(InvalidRequest, match=rf"^input\[1\] \({kind}\) .*{advice}"):
        forwarded(asked, target)


PNG = "iVBORw0KGgoAAAANSUhEUg=="


@pytest.mark.parametrize(
    ("given", "data", "sent"),
    [("image/jpg", "AAAA", "image/jpeg"), ("image/jpeg", PNG, "image/png"), ("image/webp", "AAAA", "image/webp")],
)
def test_a_picture_has_the_type_of_its_bytes(given: str, data: str, sent: str) -> None:
    url = f"data:{given};base64,{data}"
    for image in ({"url": url}, url):  # earlier clients send the address alone
        asked = ask(Format.CHAT, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": image}]}])
        [block] = forwarded(asked, Format.MESSAGES)["messages"][0]["content"]
        assert block["source"] == {"type": "base64", "media_type": sent, "data": data}


@pytest.mark.parametrize("target", [Format.MESSAGES, Format.CHAT])
@pytest.mark.parametrize(
    "asked",
    [
        ask(
            Format.RESPONSES,
            input=[
                {
                    "role": "user",
                    "content": [
                        {"type": "input_file", "filename": "a.md", "file_data": "data:text/markdown;base64,SGVsbG8="}
                    ],
                }
            ],
        ),
        ask(
            Format.GENERATE,
            contents=[{"parts": [{"inlineData": {"mimeType": "application/json", "data": "SGVsbG8="}}]}],
        ),
    ],
    ids=lambda asked: asked.format,
)
def test_a_file_of_text_is_text(asked: Any, target: Format) -> None:
    turn = json.dumps(forwarded(asked, target)["messages"][0])
    assert "Hello" in turn
    assert "SGVsbG8" not in turn


def test_a_document_of_texts_is_text() -> None:
    source = {"type": "content", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}
    content = [{"type": "document", "title": "T", "source": source}]
    asked = ask(Format.MESSAGES, messages=[{"role": "user", "content": content}])
    assert forwarded(asked, Format.CHAT)["messages"][0]["content"] == "T\none\ntwo"


def test_thoughts_that_clients_of_mistral_send_back_are_thoughts() -> None:
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Yes"}]
    user = {"role": "user", "content": "Hi"}
    asked = ask(Format.CHAT, messages=[user, {"role": "assistant", "content": content}, user])
    assert forwarded(asked, Format.RESPONSES)["input"][1] == {"type": "message", "role": "assistant", "content": "Yes"}
