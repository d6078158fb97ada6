"""Relays of an upstream's answer to the client: unchanged, or converted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats import ids, sse
from opencode_cloud.gateway.formats.collecting import collected
from opencode_cloud.gateway.formats.emulating import Emulator
from opencode_cloud.gateway.formats.generated import generated_bytes
from opencode_cloud.gateway.formats.models import (
    Closed,
    Emulation,
    Ended,
    Event,
    Grown,
    Malformed,
    ModelReply,
    Opened,
    ParsedRequest,
    ReasoningBlock,
    Signed,
    TextBlock,
    ToolCall,
    UpstreamFault,
    UpstreamGarbage,
    WholeAnswer,
)
from opencode_cloud.gateway.formats.reading import Node, size
from opencode_cloud.gateway.formats.registry import wire_format
from opencode_cloud.gateway.formats.sse import MAXIMUM_EVENT, Splitter
from opencode_cloud.gateway.formats.surrogates import WholeCharacters
from opencode_cloud.gateway.formats.wire import WireFormat
from opencode_cloud.kit import json_codec

NOTHING = Emulation()
"""The emulation for an upstream that can express the whole request."""
_GARBAGE = (ValueError, RecursionError, Malformed)
"""Errors of decoding and reading. Those of msgspec are ValueErrors."""


class StreamRelay(Protocol):
    """Takes chunks of an upstream's stream and returns the client's, in whole events only.

    So a heartbeat or an error event may follow any of its results.
    """

    @property
    def tokens(self) -> Tokens | None:
        """Usage as the upstream last reported it; None: it has not."""
        ...

    @property
    def tier(self) -> str:
        """The service tier that serves; empty: the upstream has not said."""
        ...

    @property
    def complete(self) -> bool:
        """True if the answer has its proper end."""
        ...

    @property
    def fault(self) -> UpstreamFault | None:
        """An error that the upstream reported within the stream. The relay passes on neither it nor later events."""
        ...

    @property
    def generated(self) -> int:
        """UTF-8 bytes of generated text, arguments and reasoning so far."""
        ...

    @property
    def progress(self) -> int:
        """Number of events in which something was generated, or the answer ended. 0: the answer has not begun."""
        ...

    @property
    def garbage(self) -> bool:
        """True if the upstream sent bytes that are not in its format. The relay passes on nothing after them."""
        ...

    @property
    def sequence(self) -> int:
        """The number that the next event has, in formats that number them."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes for the client after a chunk of the upstream's stream; often empty."""
        ...

    def end(self) -> bytes:
        """Return the last bytes for the client, after the upstream has closed its stream."""
        ...


class _Relay:
    """Common to both relays: cuts the stream into events, and returns nothing after garbage or an error."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self.garbage = False

    def _pass(self, chunk: bytes, one: Callable[[bytes], bytes]) -> bytes:
        if self.garbage:
            return b""
        passed: list[bytes] = []
        try:
            passed.extend(one(event) for event in self._splitter.feed(chunk))
        except _GARBAGE:
            self.garbage = True
        if self._splitter.held > MAXIMUM_EVENT:
            self.garbage = True
        return passed[0] if len(passed) == 1 else b"".join(passed)


class PassThrough(_Relay):
    """Passes a stream on byte for byte, and meters it."""

    def __init__(self, parsed: ParsedRequest, source: Format) -> None:
        super().__init__()
        self._meter = wire_format(source).meter()
        self._drop_usage = not parsed.usage_wanted

    @property
    def tokens(self) -> Tokens | None:
        """Usage as last reported."""
        return self._meter.tokens

    @property
    def tier(self) -> str:
        """The service tier that serves."""
        return self._meter.tier

    @property
    def complete(self) -> bool:
        """True if the answer has its proper end."""
        return self._meter.complete and self._meter.fault is None

    @property
    def fault(self) -> UpstreamFault | None:
        """An error that the upstream reported."""
        return self._meter.fault

    @property
    def generated(self) -> int:
        """UTF-8 bytes generated so far."""
        return self._meter.generated

    @property
    def progress(self) -> int:
        """Number of events in which something was generated."""
        return self._meter.progress

    @property
    def sequence(self) -> int:
        """The number that the next event has."""
        return self._meter.sequence

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that are complete now."""
        return self._pass(chunk, self._one)

    def end(self) -> bytes:
        """Return a complete last event without an empty line after it, if there is one."""
        rest = self._splitter.rest()
        last = b"" if self.garbage or rest.strip() else rest
        if rest.strip() and not self.garbage:
            try:
                last = self._one(rest)
            except _GARBAGE:
                self.garbage = True
        # Compatible servers leave out the events after the one with the finish reason.
        self._meter.complete = self._meter.complete or (self._meter.ending and not self.garbage)
        return last

    def _one(self, event: bytes) -> bytes:
        if self._meter.fault is not None:
            return b""  # some servers send the normal end after an error
        data = sse.data_of(event)
        if data is None:
            return event
        try:
            only_usage = self._meter.read(data)
        except msgspec.ValidationError:  # JSON of an unknown form, which the client may understand
            return event
        if self._meter.fault is not None:
            return b""
        return b"" if only_usage and self._drop_usage else event


class Conversion(_Relay):
    """Reads a stream of one format and writes one of another."""

    def __init__(self, parsed: ParsedRequest, source: Format, emulation: Emulation) -> None:
        super().__init__()
        self._emulator = Emulator(emulation)
        self._characters = WholeCharacters()
        self._direct = not (emulation.stops or emulation.one_call)
        self._reader = wire_format(source).reader()
        self._writer = wire_format(parsed.format).writer(parsed)
        self._calls = ids.Unique()
        self._generated = 0
        self.progress = 0
        self._ended = False

    @property
    def generated(self) -> int:
        """UTF-8 bytes generated so far."""
        return self._generated

    @property
    def tokens(self) -> Tokens | None:
        """Usage as last reported."""
        return self._reader.tokens

    @property
    def tier(self) -> str:
        """The service tier that serves."""
        return self._reader.tier

    @property
    def complete(self) -> bool:
        """True if the answer has its proper end."""
        return self._reader.complete or self._emulator.stopped

    @property
    def fault(self) -> UpstreamFault | None:
        """An error that the upstream reported."""
        return self._reader.fault

    @property
    def sequence(self) -> int:
        """The number that the next event has."""
        return self._writer.sequence

    def feed(self, chunk: bytes) -> bytes:
        """Return the converted events that are complete now."""
        return self._pass(chunk, self._one)

    def end(self) -> bytes:
        """Return the events of the end, if the upstream sent its reason."""
        rest = self._splitter.rest()
        if self.garbage or self.fault:
            return b""
        try:
            last = self._one(rest) if rest.strip() else b""
            return last if self.fault else last + self._write(self._reader.finish())
        except _GARBAGE:
            self.garbage = True
            return b""

    def _one(self, event: bytes) -> bytes:
        data = sse.data_of(event)
        if data is None or self.fault:
            return b""
        if self._emulator.stopped:
            for unsent in self._reader.read(data):  # usage follows, and the client has its end
                self._count(unsent)
            return b""
        if self._ended:
            return b""
        return self._write(self._reader.read(data))

    def _write(self, events: Iterable[Event]) -> bytes:
        written: list[bytes] = []
        for event in events:
            self._count(event)
            # The hot loop: most events need no change.
            if isinstance(event, Grown) and self._direct and not self._characters.held and event.text.isascii():
                self._emulator.note_growth(event.index)
                written.append(self._writer.write(event, self._reader.tokens))
                continue
            written += map(self._step, self._emulator.events(self._characters.events((event,))))
        return b"".join(written)

    def _step(self, event: Event) -> bytes:
        if isinstance(event, Opened) and isinstance(event.block, ToolCall):
            call = msgspec.structs.replace(event.block, id=self._calls.of(event.block.id))
            event = Opened(event.index, call)
        self._ended = isinstance(event, Ended)
        return self._writer.write(event, self._reader.tokens)

    def _count(self, event: Event) -> None:
        # A block of text that only begins is the frame of what follows.
        self.progress += not (isinstance(event, Opened) and isinstance(event.block, TextBlock))
        if isinstance(event, Grown):
            self._generated += size(event.text)


def relay_stream(parsed: ParsedRequest, source: Format, emulation: Emulation = NOTHING) -> StreamRelay:
    """Return the relay of an upstream's stream in ``source`` to the client that sent the request.

    ``emulation`` is what the forwarded request left to the gateway.
    """
    return PassThrough(parsed, source) if parsed.format is source else Conversion(parsed, source, emulation)


class WholeStream:
    """A whole answer as the stream that its client asked for: some servers do not stream."""

    fault: UpstreamFault | None = None
    garbage = False
    complete = True
    progress = 1

    def __init__(self, parsed: ParsedRequest, reply: ModelReply, tier: str) -> None:
        self.tier = tier
        writer = wire_format(parsed.format).writer(parsed)
        self.written = b"".join([writer.write(event, reply.tokens) for event in _events(reply)])
        self.tokens, self.generated, self.sequence = reply.tokens, _generated(reply), writer.sequence

    def feed(self, chunk: bytes) -> bytes:  # noqa: ARG002 - nothing follows a whole answer
        """Return no bytes: the answer is complete."""
        return b""

    def end(self) -> bytes:
        """Return no bytes: the answer is complete."""
        return b""


def stream_answer(parsed: ParsedRequest, source: Format, body: bytes, emulation: Emulation = NOTHING) -> WholeStream:
    """Return a whole answer as the stream that its client asked for. Raises :class:`UpstreamGarbage`."""
    wire = wire_format(source)
    try:
        node = wire.node(json_codec.decode(body, object))
        return WholeStream(parsed, _reply(wire, node, emulation), wire.served_tier(node))
    except _GARBAGE as error:
        raise UpstreamGarbage(str(error)) from error


def collect_answer(parsed: ParsedRequest, source: Format, body: bytes, emulation: Emulation = NOTHING) -> WholeAnswer:
    """Return a whole stream as the answer that its client asked for. Raises :class:`UpstreamGarbage`."""
    reader = wire_format(source).reader()
    try:
        reply = Emulator(emulation).reply(_with_unique_ids(collected(reader, body)))
        written = msgspec.json.encode(wire_format(parsed.format).write_answer(reply, parsed))
    except _GARBAGE as error:
        raise UpstreamGarbage(str(error)) from error
    return WholeAnswer(body=written, tokens=reply.tokens, generated=_generated(reply), tier=reader.tier)


def relay_answer(parsed: ParsedRequest, source: Format, body: bytes, emulation: Emulation = NOTHING) -> WholeAnswer:
    """Return an upstream's answer for the client that sent the request. Raises :class:`UpstreamGarbage`."""
    wire = wire_format(source)
    try:
        node = wire.node(json_codec.decode(body, object))
        if parsed.format is source:
            _refuse_error(wire, node)
            if not wire.is_answer(node):
                raise node.wrong(f"has no answer in `{wire.answer_member}`")
            return WholeAnswer(
                body=body,
                tokens=wire.read_usage(node.raw(wire.usage_member)),
                generated=generated_bytes(node.raw(wire.answer_member)),
                tier=wire.served_tier(node),
            )
        reply = _reply(wire, node, emulation)
        converted = msgspec.json.encode(wire_format(parsed.format).write_answer(reply, parsed))
    except _GARBAGE as error:
        raise UpstreamGarbage(str(error)) from error
    return WholeAnswer(body=converted, tokens=reply.tokens, generated=_generated(reply), tier=wire.served_tier(node))


def _reply(wire: WireFormat, node: Node, emulation: Emulation) -> ModelReply:
    _refuse_error(wire, node)
    return Emulator(emulation).reply(_with_unique_ids(wire.read_answer(node)))


def _refuse_error(wire: WireFormat, node: Node) -> None:
    if (fault := wire.error_in(node)) is not None:
        raise UpstreamGarbage(fault.message or "An error instead of an answer.", fault)


def _events(reply: ModelReply) -> Iterator[Event]:
    """Yield the events of a whole answer, one piece for each block."""
    for index, block in enumerate(reply.blocks):
        is_call = isinstance(block, ToolCall)
        text = block.arguments or "{}" if is_call else block.text
        yield Opened(index, msgspec.structs.replace(block, **{"arguments" if is_call else "text": ""}))
        if text:
            yield Grown(index, text)
        if isinstance(block, ReasoningBlock) and block.signature:
            yield Signed(index, block)
        yield Closed(index)
    yield Ended(reply.stop, reply.stop_sequence)


def _with_unique_ids(reply: ModelReply) -> ModelReply:
    calls = ids.Unique()
    blocks = [
        msgspec.structs.replace(block, id=calls.of(block.id)) if isinstance(block, ToolCall) else block
        for block in reply.blocks
    ]
    return msgspec.structs.replace(reply, blocks=tuple(blocks))


def _generated(reply: ModelReply) -> int:
    return sum(
        size(block.text if isinstance(block, (TextBlock, ReasoningBlock)) else block.arguments)
        for block in reply.blocks
    )
