"""Helpers of the formats' tests: requests and answers of each, readers of streams, hypothesis strategies."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats import ParsedRequest, conversions, forward_request, read_request
from opencode_cloud.gateway.formats.models import (
    Choice,
    Closed,
    Ended,
    Event,
    Grown,
    ImageBlock,
    ModelReply,
    ModelRequest,
    Opened,
    PathTarget,
    ReasoningBlock,
    Shape,
    Signed,
    Stop,
    TextBlock,
    ToolCall,
    ToolChoice,
    ToolDefinition,
    ToolResult,
    Turn,
)
from opencode_cloud.gateway.formats.parsing import node_of
from opencode_cloud.gateway.formats.reading import arguments_object
from opencode_cloud.gateway.formats.sse import Splitter, data_of
from opencode_cloud.gateway.formats.streaming import StreamWriter
from opencode_cloud.gateway.formats.writing import merged

USER = [{"role": "user", "content": "Weather?"}]
GOLDEN = Path(__file__).parent / "golden"
FORMATS = list(Format)
PAIRS = [(client, upstream) for client in Format for upstream in Format if client is not upstream]
TOKENS = Tokens(input=400, output=91, reasoning=40, cache_read=2000, cache_write=150, cache_write_1h=50)
MODEL = "public-model"
PROMPTS: dict[Format, dict[str, Any]] = {
    Format.CHAT: {"model": MODEL, "messages": [{"role": "user", "content": "Weather?"}]},
    Format.MESSAGES: {"model": MODEL, "max_tokens": 4096, "messages": [{"role": "user", "content": "Weather?"}]},
    Format.RESPONSES: {"model": MODEL, "input": "Weather?"},
    Format.GENERATE: {"contents": [{"role": "user", "parts": [{"text": "Weather?"}]}]},
}


def ask(format_: Format, *, stream: bool = False, **members: Any) -> ParsedRequest:
    """Return a request of a format."""
    document = {**PROMPTS[format_], **members}
    if format_ is Format.GENERATE:
        return read_request(format_, encode(document), PathTarget(MODEL, stream))
    if stream:
        document["stream"] = True
        if format_ is Format.CHAT:
            document.setdefault("stream_options", {"include_usage": True})
    return read_request(format_, encode(document))


def encode(document: object) -> bytes:
    """Write JSON as clients do."""
    return json.dumps(document, ensure_ascii=False).encode()


def forwarded(
    asked: ParsedRequest, target: Format, model: str = "upstream-model", pseudonym: Callable[[str], str] = str
) -> dict[str, Any]:
    """Return the request to the upstream. Ids of sessions and users stay as they are, unless ``pseudonym`` is given."""
    return json.loads(forward_request(asked, target, model, pseudonym).body)


def understood(format_: Format, document: dict[str, Any]) -> ModelRequest:
    """Return the parsed meaning of a request."""
    return conversions.read_request(format_, node_of(format_, document))


def golden(format_: Format, kind: str = "sse") -> bytes:
    """Return a recorded answer."""
    return (GOLDEN / f"{format_.value}.{kind}").read_bytes()


def chunks(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a stream at positions."""
    borders = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [stream[start:end] for start, end in pairwise(borders)]


def data_events(stream: bytes) -> list[Any]:
    """Return the decoded data of a stream's events. Marks that are not JSON stay text."""
    splitter = Splitter()
    datas = [data_of(event) for event in (*splitter.feed(stream), splitter.rest())]
    return [data.decode() if data == b"[DONE]" else json.loads(data) for data in datas if data]


def said(format_: Format, stream: bytes) -> ModelReply:
    """Read a stream as that of an upstream, and return its answer; check the order of its events."""
    reader, splitter = conversions.reader(format_), Splitter()
    events: list[Event] = []
    for raw in splitter.feed(stream):
        if (data := data_of(raw)) is not None:
            events += reader.read(data)
    events += reader.finish()
    assert not splitter.held
    assert reader.fault is None
    return msgspec.structs.replace(assembled(events), tokens=reader.tokens)


def assembled(events: list[Event]) -> ModelReply:
    """Join events."""
    blocks: dict[int, TextBlock | ToolCall | ReasoningBlock] = {}
    open_: set[int] = set()
    assert isinstance(events[-1], Ended)
    for event in events[:-1]:
        match event:
            case Opened(index, block):
                assert index not in blocks
                blocks[index] = block
                open_.add(index)
            case Grown(index, text):
                assert index in open_
                block = blocks[index]
                key = "arguments" if isinstance(block, ToolCall) else "text"
                blocks[index] = msgspec.structs.replace(block, **{key: getattr(block, key) + text})
            case Signed(index, reasoning):
                assert index in open_
                blocks[index] = reasoning
            case Closed(index):
                open_.remove(index)
            case Ended():
                raise AssertionError("an answer ends once")
    assert not open_
    return ModelReply(blocks=tuple(blocks.values()), stop=events[-1].stop, stop_sequence=events[-1].stop_sequence)


def essence(reply: ModelReply) -> list[tuple[Any, ...]]:
    """Return the parts of an answer that every conversion must keep: texts, thoughts, calls, in order."""
    parts: list[tuple[Any, ...]] = []
    for block in reply.blocks:
        match block:
            case TextBlock(text) if text:
                parts.append(("text", text))
            case ReasoningBlock(text=text) if text:
                parts.append(("thought", text))
            case ToolCall():
                parts.append(("call", block.id, block.name, arguments_object(block.arguments)))
            case _:
                pass
    return parts


def meaning(request: ModelRequest) -> ModelRequest:
    """Return a request without the differences in spelling between formats, and without cache marks."""
    messages = tuple(
        Turn(message.role, tuple(_plain(block) for block in message.blocks)) for message in merged(request.messages)
    )
    tools = tuple(msgspec.structs.replace(tool, strict=bool(tool.strict), cache="") for tool in request.tools)
    system = tuple(msgspec.structs.replace(text, cache="") for text in request.system)
    shape = request.shape and Shape(schema=request.shape.schema)
    return msgspec.structs.replace(request, messages=messages, system=system, tools=tools, shape=shape)


def _plain(block: Any) -> Any:
    if hasattr(block, "cache"):
        block = msgspec.structs.replace(block, cache="")
    if isinstance(block, ToolCall):
        return msgspec.structs.replace(block, arguments=json.dumps(arguments_object(block.arguments), sort_keys=True))
    return msgspec.structs.replace(block, name="") if isinstance(block, ToolResult) else block


# Strategies. Texts are valid UTF-8. Features of a single format are in the tests of that format.
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
names = st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), json_values, max_size=3).map(
    lambda members: json.dumps(members, ensure_ascii=False).encode("utf-8", "replace").decode()
)
images = st.binary(min_size=1, max_size=12).map(
    lambda raw: ImageBlock(media_type="image/png", data=base64.b64encode(b"\x89PNG" + raw).decode())
)
schemas = st.dictionaries(names, st.sampled_from([{"type": "string"}, {"type": "integer"}]), max_size=3).map(
    # Closed, because Anthropic takes no other schema of an answer.
    lambda properties: {"type": "object", "properties": properties, "additionalProperties": False}
)


@st.composite
def requests(draw: st.DrawFn) -> ModelRequest:
    """Return a request that every format can express: alternating turns, and each call with its result."""
    messages: list[Turn] = []
    calls: list[ToolCall] = []
    count = 0
    for _ in range(draw(st.integers(1, 3))):
        results = [ToolResult(id=call.id, content=(TextBlock(draw(texts)),)) for call in calls]
        words = draw(st.lists(texts.map(TextBlock) | images, min_size=0 if results else 1, max_size=2))
        messages.append(Turn("user", (*results, *words)))
        said_ = [TextBlock(text) for text in draw(st.lists(texts, max_size=1))]
        calls = [
            ToolCall(id=f"call_{count + number}", name=draw(names), arguments=draw(arguments))
            for number in range(draw(st.integers(0 if said_ else 1, 3)))
        ]
        count += len(calls)
        messages.append(Turn("assistant", (*said_, *calls)))
    results = [ToolResult(id=call.id, content=(TextBlock(draw(texts)),)) for call in calls]
    messages.append(Turn("user", (*results, TextBlock(draw(texts)))))
    offered = draw(st.lists(names, max_size=2, unique=True))
    choices = st.none() | st.sampled_from([Choice.AUTO, Choice.NONE, Choice.REQUIRED]).map(ToolChoice)
    choices |= st.sampled_from(offered or ["f"]).map(lambda name: ToolChoice(Choice.NAMED, (name,)))
    return ModelRequest(
        messages=tuple(messages),
        system=tuple(TextBlock(text) for text in draw(st.lists(texts, max_size=1))),
        tools=tuple(ToolDefinition(name=name, description=draw(texts), schema=draw(schemas)) for name in offered),
        tool_choice=draw(choices) if offered else None,
        max_output=draw(st.integers(16, 100_000)),
        temperature=draw(st.none() | st.floats(0, 1)),
        top_p=draw(st.none() | st.floats(0, 1)),
        shape=draw(st.none() | schemas.map(lambda schema: Shape(schema=schema))),
    )


@st.composite
def replies(draw: st.DrawFn) -> ModelReply:
    """Return an answer in an order that every format can express: thoughts, text, calls."""
    blocks: list[TextBlock | ToolCall | ReasoningBlock] = []
    if draw(st.booleans()):
        blocks.append(
            ReasoningBlock(text=draw(texts), origin="elsewhere", signature=draw(st.sampled_from(["", "c2ln"])))
        )
    if draw(st.booleans()):
        blocks.append(TextBlock(draw(texts)))
    for number in range(draw(st.integers(0 if blocks else 1, 3))):
        blocks.append(ToolCall(id=f"call_{number}", name=draw(names), arguments=draw(arguments)))
    called = isinstance(blocks[-1], ToolCall)
    stop = Stop.TOOLS if called else draw(st.sampled_from([Stop.END, Stop.LENGTH, Stop.REFUSAL]))
    return ModelReply(blocks=tuple(blocks), stop=stop, tokens=TOKENS)


def streamed(reply: ModelReply, format_: Format, cuts: list[int]) -> bytes:
    """Return an answer as a stream, its texts in pieces."""
    return written_stream(reply, conversions.writer(ask(format_, stream=True)), cuts)


def written_stream(reply: ModelReply, writer: StreamWriter, cuts: list[int]) -> bytes:
    """Return an answer as a writer streams it, its texts in pieces."""
    return b"".join(writer.write(event, reply.tokens) for event in _events(reply, cuts))


def _events(reply: ModelReply, cuts: list[int]) -> list[Event]:
    events: list[Event] = []
    for index, block in enumerate(reply.blocks):
        text = block.arguments if isinstance(block, ToolCall) else block.text
        empty = {"arguments": ""} if isinstance(block, ToolCall) else {"text": ""}
        events.append(Opened(index, msgspec.structs.replace(block, **empty)))
        borders = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
        events += [Grown(index, text[a:b]) for a, b in pairwise(borders) if text[a:b]]
        if isinstance(block, ReasoningBlock) and block.signature:
            events.append(Signed(index, block))
        events.append(Closed(index))
    return [*events, Ended(reply.stop)]


def as_asked(format_: Format, request: ModelRequest) -> Any:
    """Return a request as a client of a format would have sent it."""
    return ask(format_, **conversions.write_request(format_, request, "public-model"))
