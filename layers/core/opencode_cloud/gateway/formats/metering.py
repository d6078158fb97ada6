"""Reading along while a stream passes through untouched: usage, the end, errors, and how much was generated.

The hot loop of the gateway. Each event is decoded once, into a type that has only the members that matter here; what
else it has is skipped by the decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.models import UpstreamFault
from opencode_cloud.gateway.formats.reading import size
from opencode_cloud.gateway.formats.usage import merge, read_usage
from opencode_cloud.kit import json_codec

Form = TypeVar("Form")


class _Meter:
    """What the meters share. Their ``read`` raises :class:`msgspec.DecodeError` for what is not JSON."""

    source: Format

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.complete = False
        self.ending = False  # whether the upstream said why it ended; some say no more after that
        self.fault: UpstreamFault | None = None
        self.generated: int = 0

    def _count(self, usage: msgspec.Raw) -> bool:
        """Take up a usage object, if it is one; returns whether it is."""
        if len(usage) <= len(b"null"):
            return False
        found = read_usage(self.source, msgspec.json.decode(usage))
        self.tokens = merge(self.tokens, found)
        return found is not None


def _decoder(form: type[Form]) -> Callable[[bytes], Form]:
    strict = msgspec.json.Decoder(form)

    def decode(data: bytes) -> Form:
        try:
            return strict.decode(data)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            return json_codec.decode(
                data, form
            )  # slower, and reads what strict decoders refuse: halves of surrogate pairs

    return decode


class _ChatFunction(msgspec.Struct):
    arguments: Any = None


class _ChatCall(msgspec.Struct):
    function: _ChatFunction | None = None


class _ChatDelta(msgspec.Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: list[_ChatCall] | None = None


class _ChatChoice(msgspec.Struct):
    delta: _ChatDelta | None = None
    finish_reason: Any = None


class _ChatChunk(msgspec.Struct):
    object: Any = None
    choices: list[_ChatChoice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: Any = None


_chat = _decoder(_ChatChunk)


class ChatMeter(_Meter):
    """Counts along in Chat Completions."""

    source = Format.CHAT

    def read(self, data: bytes) -> bool:
        """Count the data of one event; returns whether it has usage and nothing else."""
        if data == b"[DONE]" or data.strip() == b"[DONE]":
            self.complete = True
            return False
        chunk = _chat(data)
        if chunk.error or chunk.object == "error":  # the second is an older form of vLLM's
            self.fault = fault_of(json_codec.decode(data, dict[str, Any]))
            return False
        counted = self._count(chunk.usage)
        for choice in chunk.choices or ():
            self.ending = self.ending or choice.finish_reason is not None
            if choice.delta is not None:
                self._generated(choice.delta)
        return counted and not chunk.choices

    def _generated(self, delta: _ChatDelta) -> None:
        for text in (delta.content, delta.reasoning_content or delta.reasoning, delta.refusal):
            if text and isinstance(text, str):
                self.generated += size(text)
        for call in delta.tool_calls or ():
            if call.function is not None and isinstance(call.function.arguments, str):
                self.generated += size(call.function.arguments)


class _MessagesDelta(msgspec.Struct):
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    stop_reason: Any = None


class _MessagesMessage(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()


class _MessagesEvent(msgspec.Struct):
    type: Any = None
    delta: _MessagesDelta | None = None
    message: _MessagesMessage | None = None
    usage: msgspec.Raw = msgspec.Raw()


_messages = _decoder(_MessagesEvent)


class MessagesMeter(_Meter):
    """Counts along in Messages."""

    source = Format.MESSAGES

    def read(self, data: bytes) -> bool:
        """Count the data of one event."""
        event = _messages(data)
        if event.delta is not None:
            delta = event.delta
            text = delta.text or delta.thinking or delta.partial_json
            if isinstance(text, str):
                self.generated += size(text)
            self.ending = self.ending or delta.stop_reason is not None
        if event.message is not None:
            self._count(event.message.usage)
        self._count(event.usage)
        self.complete = self.complete or event.type == "message_stop"
        if event.type == "error":
            self.fault = fault_of(json_codec.decode(data, dict[str, Any]))
        return False


class _ResponsesEvent(msgspec.Struct):
    type: Any = None
    delta: Any = None
    response: msgspec.Raw = msgspec.Raw()


class _ResponsesResponse(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()


_responses = _decoder(_ResponsesEvent)
_response = msgspec.json.Decoder(_ResponsesResponse)
_RESPONSES_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


class ResponsesMeter(_Meter):
    """Counts along in Responses."""

    source = Format.RESPONSES

    def __init__(self) -> None:
        super().__init__()
        self.events = 0

    def read(self, data: bytes) -> bool:
        """Count the data of one event."""
        if data.strip() == b"[DONE]":
            return False
        event = _responses(data)
        self.events += 1
        if isinstance(event.delta, str):
            self.generated += size(event.delta)
        elif event.type in _RESPONSES_ENDS:
            if event.response:
                self._count(_response.decode(event.response).usage)
            self.complete = self.complete or event.type in _RESPONSES_ENDS[:2]
        if event.type in ("error", "response.failed"):
            self.fault = fault_of(failure_of(json_codec.decode(data, dict[str, Any])))
        return False


def failure_of(event: dict[str, Any]) -> object:
    """Return the error within an event of Responses, which is of several shapes."""
    if isinstance(event.get("response"), dict):
        return {"error": event["response"].get("error") or {}}
    return event if isinstance(event.get("error"), dict) else {"error": event}


class _Part(msgspec.Struct):
    text: Any = None
    functionCall: msgspec.Raw = msgspec.Raw()  # noqa: N815 - Google's name


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    finishReason: Any = None  # noqa: N815 - Google's name


class _Feedback(msgspec.Struct):
    blockReason: Any = None  # noqa: N815 - Google's name


class _GenerateChunk(msgspec.Struct):
    candidates: list[_Candidate] | None = None
    usageMetadata: msgspec.Raw = msgspec.Raw()  # noqa: N815 - Google's name
    promptFeedback: _Feedback | None = None  # noqa: N815 - Google's name
    error: Any = None


_generate = _decoder(_GenerateChunk)


class GenerateMeter(_Meter):
    """Counts along in generateContent, whose last chunk has the reason why it ended."""

    source = Format.GENERATE

    def read(self, data: bytes) -> bool:
        """Count the data of one event."""
        chunk = _generate(data)
        if chunk.error:
            self.fault = fault_of(json_codec.decode(data, dict[str, Any]))
        self._count(chunk.usageMetadata)
        for candidate in chunk.candidates or ():
            self.complete = self.complete or candidate.finishReason is not None
            for part in (candidate.content.parts if candidate.content else None) or ():
                self.generated += size(part.text) if isinstance(part.text, str) else len(part.functionCall)
        self.complete = self.complete or (
            chunk.promptFeedback is not None and chunk.promptFeedback.blockReason is not None
        )
        return False


METERS: dict[Format, type[ChatMeter | MessagesMeter | ResponsesMeter | GenerateMeter]] = {
    Format.CHAT: ChatMeter,
    Format.MESSAGES: MessagesMeter,
    Format.RESPONSES: ResponsesMeter,
    Format.GENERATE: GenerateMeter,
}
