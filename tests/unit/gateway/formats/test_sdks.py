"""The vendors' own clients are the oracle: they understand our answers, streams, heartbeats and errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import MessageParam
from google import genai
from google.genai import errors, types
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.responses import Response, ResponseInputItemParam, ResponseStreamEvent
from pydantic import TypeAdapter

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import answer_error, error_event, heartbeat, relay_answer, relay_stream
from opencode_cloud.gateway.formats.models import (
    ImageBlock,
    ModelRequest,
    TextBlock,
    ToolCall,
    ToolDefinition,
    ToolResult,
    Turn,
)
from tests.unit.gateway.formats.speaking import FORMATS, as_asked, ask, data_events, forwarded, golden

KEY = "not-a-key"
QUESTION = "Weather?"
TEXT, THOUGHT = "Let me look. ☀", "Two cities, two calls."
CITIES = ["Paris", "Rome"]


class Stage:
    """A server that answers every request in the same way."""

    def __init__(self) -> None:
        self.status, self.kind, self.body = 200, "", b""
        stage = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(stage.status)
                self.send_header("content-type", stage.kind)
                self.send_header("content-length", str(len(stage.body)))
                self.end_headers()
                self.wfile.write(stage.body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class names it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def says(self, body: bytes, kind: str = "text/event-stream", status: int = 200) -> None:
        """Set the answer."""
        self.body, self.kind, self.status = body, kind, status

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def chat(stage: Stage) -> openai.OpenAI:
    return openai.OpenAI(api_key=KEY, base_url=f"{stage.url}/v1", max_retries=0)


@pytest.fixture(scope="module")
def messages(stage: Stage) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=KEY, base_url=stage.url, max_retries=0)


@pytest.fixture(scope="module")
def generate(stage: Stage) -> Any:
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=stage.url))


def stream_for(client: Format, upstream: Format) -> bytes:
    """Return a stream for a client, with a heartbeat before each event."""
    relay = relay_stream(ask(client, stream=True), upstream)
    assert relay.feed(b"") == b""
    pieces: list[bytes] = []
    for event in golden(upstream).replace(b"\r\n", b"\n").split(b"\n\n"):
        pieces += [heartbeat(client), relay.feed(event + b"\n\n")]
    return b"".join(pieces) + relay.end()


@pytest.mark.parametrize("upstream", FORMATS)
def test_the_client_of_chat_reads_streams(stage: Stage, chat: openai.OpenAI, upstream: Format) -> None:
    stage.says(stream_for(Format.CHAT, upstream))
    texts, thoughts, arguments, usage, finish = "", "", dict[int, str](), None, None
    for chunk in chat.chat.completions.create(
        model="m", messages=[{"role": "user", "content": QUESTION}], stream=True, stream_options={"include_usage": True}
    ):
        ChatCompletionChunk.model_validate(chunk.model_dump(), strict=True)
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts += choice.delta.content or ""
            thoughts += getattr(choice.delta, "reasoning_content", None) or ""
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                assert call.function
                arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert (texts, thoughts, finish) == (TEXT, THOUGHT, "tool_calls")
    assert [openai_city(text) for text in arguments.values()] == CITIES
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (2600, 91)


def openai_city(text: str) -> str:
    return str(TypeAdapter(dict[str, str]).validate_json(text)["city"])


@pytest.mark.parametrize("upstream", FORMATS)
def test_the_client_of_messages_reads_streams(stage: Stage, messages: anthropic.Anthropic, upstream: Format) -> None:
    stage.says(stream_for(Format.MESSAGES, upstream))
    with messages.messages.stream(
        model="m", max_tokens=100, messages=[{"role": "user", "content": QUESTION}]
    ) as stream:
        message = stream.get_final_message()
    anthropic.types.Message.model_validate(message.model_dump(), strict=True)
    content: list[Any] = said_in(message)
    assert [block.type for block in content] == ["thinking", "text", "tool_use", "tool_use"]
    assert (content[0].thinking, content[1].text) == (THOUGHT, TEXT)
    assert [block.input["city"] for block in content[2:]] == CITIES
    assert message.stop_reason == "tool_use"
    usage = message.usage
    total = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    assert (total, usage.output_tokens) == (2600, 91)


def said_in(message: anthropic.types.Message) -> list[Any]:
    """Return the blocks with content. Other blocks have only a signature, such as those of Gemini's calls."""
    return [block for block in message.content if block.type != "thinking" or block.thinking]


@pytest.mark.parametrize("upstream", FORMATS)
def test_the_client_of_responses_reads_streams(stage: Stage, chat: openai.OpenAI, upstream: Format) -> None:
    stage.says(stream_for(Format.RESPONSES, upstream))
    with chat.responses.stream(model="m", input=QUESTION) as stream:
        for event in stream:
            assert event.type.startswith("response.")
        response = stream.get_final_response()
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in data_events(stage.body):
        adapter.validate_python(event)
    assert response.output_text == TEXT
    output: list[Any] = [item for item in response.output if item.type != "reasoning" or item.summary]
    assert [item.type for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert output[0].summary[0].text == THOUGHT
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (2600, 91)


@pytest.mark.parametrize("upstream", FORMATS)
def test_the_client_of_generate_reads_streams(stage: Stage, generate: Any, upstream: Format) -> None:
    stage.says(stream_for(Format.GENERATE, upstream))
    parts, usage, finish = list[Any](), None, None
    for chunk in generate.models.generate_content_stream(model="m", contents=QUESTION):
        candidate = chunk.candidates[0]
        parts += candidate.content.parts or []
        finish, usage = candidate.finish_reason or finish, chunk.usage_metadata or usage
    assert "".join(part.text for part in parts if part.text and part.thought) == THOUGHT
    assert "".join(part.text for part in parts if part.text and not part.thought) == TEXT
    assert [part.function_call.args["city"] for part in parts if part.function_call] == CITIES
    assert finish == types.FinishReason.STOP
    assert usage is not None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (2600, 51, 40)


@pytest.mark.parametrize("upstream", FORMATS)
def test_all_clients_read_whole_answers(
    stage: Stage, chat: openai.OpenAI, messages: anthropic.Anthropic, generate: Any, upstream: Format
) -> None:
    def says(client: Format) -> None:
        stage.says(relay_answer(ask(client), upstream, golden(upstream, "json")).body, "application/json")

    says(Format.CHAT)
    completion = chat.chat.completions.create(model="m", messages=[{"role": "user", "content": QUESTION}])
    ChatCompletion.model_validate(completion.model_dump(), strict=True)
    assert completion.choices[0].message.content == TEXT
    assert len(completion.choices[0].message.tool_calls or []) == 2

    says(Format.MESSAGES)
    message = messages.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": QUESTION}])
    anthropic.types.Message.model_validate(message.model_dump(), strict=True)
    assert [block.type for block in said_in(message)] == ["thinking", "text", "tool_use", "tool_use"]

    says(Format.RESPONSES)
    response = chat.responses.create(model="m", input=QUESTION)
    Response.model_validate(response.model_dump(exclude_unset=True))
    assert response.output_text == TEXT

    says(Format.GENERATE)
    answer = generate.models.generate_content(model="m", contents=QUESTION)
    assert [
        part.function_call.args["city"] for part in answer.candidates[0].content.parts if part.function_call
    ] == CITIES


def test_all_clients_notice_an_error_within_a_stream(
    stage: Stage, chat: openai.OpenAI, messages: anthropic.Anthropic, generate: Any
) -> None:
    def says(client: Format) -> None:
        begun = relay_stream(ask(client, stream=True), Format.CHAT).feed(
            b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
        )
        error = error_event(client, code="upstream_stalled", message="It stalled.", details={}, sequence=9)
        stage.says(begun + heartbeat(client) + error)

    says(Format.CHAT)
    with pytest.raises(openai.APIError, match="It stalled"):
        list(chat.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True))
    says(Format.RESPONSES)
    with pytest.raises(openai.APIError, match="It stalled"):
        list(chat.responses.create(model="m", input="x", stream=True))
    says(Format.MESSAGES)
    with (
        pytest.raises(anthropic.APIStatusError, match="It stalled"),
        messages.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as stream,
    ):
        stream.get_final_message()
    says(Format.GENERATE)
    with pytest.raises(errors.APIError, match="It stalled"):
        list(generate.models.generate_content_stream(model="m", contents="x"))


def test_all_clients_show_the_message_of_an_error(
    stage: Stage, chat: openai.OpenAI, messages: anthropic.Anthropic, generate: Any
) -> None:
    def says(client: Format) -> None:
        body = answer_error(
            client, status=402, code="budget_exhausted", message="Stopped at $20.00.", details={"limit": 20}
        )
        stage.says(body, "application/json", 402)

    says(Format.CHAT)
    with pytest.raises(openai.APIStatusError) as refused:
        chat.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert (refused.value.status_code, refused.value.code, refused.value.type) == (
        402,
        "budget_exhausted",
        "insufficient_quota",
    )
    assert "Stopped at $20.00." in str(refused.value)
    says(Format.MESSAGES)
    with pytest.raises(anthropic.APIStatusError, match=r"Stopped at \$20.00.") as also:
        messages.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])
    assert also.value.status_code == 402
    says(Format.GENERATE)
    with pytest.raises(errors.ClientError, match=r"Stopped at \$20.00.") as third:
        generate.models.generate_content(model="m", contents="x")
    assert (third.value.code, third.value.status) == (402, "FAILED_PRECONDITION")


def test_a_comment_would_break_googles_client_which_is_why_its_heartbeat_is_none(stage: Stage, generate: Any) -> None:
    stream = stream_for(Format.GENERATE, Format.CHAT)
    stage.says(b": keep-alive\n\n" + stream)
    with pytest.raises(errors.UnknownApiResponseError):
        list(generate.models.generate_content_stream(model="m", contents=QUESTION))


REQUEST = ModelRequest(
    system=(TextBlock("Be brief."),),
    messages=(
        Turn("user", (TextBlock("look"), ImageBlock(media_type="image/png", data="iVBORw0KGgo="))),
        Turn("assistant", (TextBlock("Looking."), ToolCall(id="call_1", name="f", arguments='{"a":1}'))),
        Turn("user", (ToolResult(id="call_1", content=(TextBlock("done"),)), TextBlock("and?"))),
    ),
    tools=(
        ToolDefinition(name="f", description="d", schema={"type": "object", "properties": {"a": {"type": "integer"}}}),
    ),
    max_output=9,
)


@pytest.mark.parametrize("client", FORMATS)
def test_requests_are_of_the_types_that_the_vendors_publish(client: Format) -> None:
    asked = as_asked(client, REQUEST)
    for message in forwarded(asked, Format.CHAT)["messages"]:
        TypeAdapter[Any](ChatCompletionMessageParam).validate_python(message)
    for message in forwarded(asked, Format.MESSAGES)["messages"]:
        TypeAdapter[Any](MessageParam).validate_python(message)
    for item in forwarded(asked, Format.RESPONSES)["input"]:
        TypeAdapter[Any](ResponseInputItemParam).validate_python(item)
    document = forwarded(asked, Format.GENERATE, "gemini-3-pro")
    for content in document["contents"]:
        types.Content.model_validate(content)
    types.GenerationConfig.model_validate(document["generationConfig"])
    types.Tool.model_validate(document["tools"][0])
