"""Sends an answer, or fails, as its script demands."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from typing import NoReturn

from aiohttp import web

from .formats.wire import STAMP, Reply, Wire, compact
from .records import Record
from .scripts import Fault, Kind, Script

HUGE = 10 * 1024 * 1024
"""Bytes of text in one event."""
GARBAGE = bytes(range(128, 256)) + b'\n\n{"]\0\0data;\r\n' + bytes(range(32))
PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"
FORBIDDEN = "Extra inputs are not permitted"
NEVER = 3600.0
"""A time in seconds, longer than any test."""
FEW_MEMBERS = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "temperature", "top_p", "max_tokens", "stream", "stop", "n"),
        *("response_format", "presence_penalty", "frequency_penalty"),
    }
)
"""Members of a Chat request that every server knows."""
BEFORE_HEADERS = (Kind.STATUS, Kind.RESET, Kind.HANG, Kind.HTML, Kind.EMPTY, Kind.TOO_LONG)


async def answer(request: web.Request, wire: Wire, script: Script, reply: Reply, record: Record) -> web.StreamResponse:
    """Answer `request`, and record the progress in `record`."""
    await asyncio.sleep(script.wait)
    fault = script.fault(record.upstream)
    if fault and record.notes["number"] >= fault.times > 0:
        fault = None  # the script's number of failures is reached
    if fault and fault.kind is Kind.FEW_MEMBERS:
        if unknown := sorted(record.body.keys() - FEW_MEMBERS):
            problems = [{"type": "extra_forbidden", "loc": ["body", name], "msg": FORBIDDEN} for name in unknown]
            return web.json_response({"detail": problems}, status=422)
        fault = None
    if fault and fault.kind in BEFORE_HEADERS:
        return await _instead(request, wire, fault)
    if fault and fault.kind is Kind.HUGE:
        reply = _with_huge_text(reply)
    if not record.notes["stream"]:
        body = compact(wire.whole(reply)).encode()
        return await _send(request, "application/json", _halves(body), script, fault, record, wire)
    return await _send(request, wire.content_type, wire.events(reply), script, fault, record, wire)


async def _instead(request: web.Request, wire: Wire, fault: Fault) -> web.StreamResponse:
    match fault.kind:
        case Kind.STATUS:
            headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
            body = wire.error(fault.status, f"Scripted failure {fault.status}")
            return web.json_response(body, status=fault.status, headers=headers)
        case Kind.TOO_LONG:
            return web.json_response(wire.too_long(), status=400)
        case Kind.RESET:
            _reset(request)
        case Kind.HANG:
            await asyncio.sleep(NEVER)
        case Kind.EMPTY:
            return web.Response(headers={"content-type": wire.content_type})
        case _:
            pass
    return web.Response(body=PAGE, headers={"content-type": "text/html; charset=utf-8"})


async def _send(
    request: web.Request,
    content_type: str,
    frames: Iterable[bytes],
    script: Script,
    fault: Fault | None,
    record: Record,
    wire: Wire,
) -> web.StreamResponse:
    """Send frame by frame. A body that is not streamed is sent in two parts."""
    response = web.StreamResponse(headers={"content-type": content_type, "x-request-id": f"req-{script.tag}"})
    await response.prepare(request)
    if fault and fault.kind is Kind.HEADERS_THEN_HANG:
        await asyncio.sleep(NEVER)
    drip = fault is not None and fault.kind is Kind.DRIP
    after = -1 if fault is None else fault.after if record.notes["stream"] else 1
    for number, frame in enumerate(frames):
        if number == after and fault:
            await _break(request, response, fault, wire, streamed=record.notes["stream"])
            if fault.kind in (Kind.END, Kind.GARBAGE, Kind.ERROR_EVENT):
                return response
        if number and script.pause:
            await asyncio.sleep(script.pause)
        for piece in _bytes(frame) if drip else (_stamped(frame),):
            await response.write(piece)
            if drip:
                await asyncio.sleep(0)
        record.events += 1
    await response.write_eof()
    return response


async def _break(
    request: web.Request, response: web.StreamResponse, fault: Fault, wire: Wire, *, streamed: bool
) -> None:
    """Interrupt an answer. Kinds of failure that only change the answer do nothing here."""
    match fault.kind:
        case Kind.STALL:
            await asyncio.sleep(NEVER)
        case Kind.CUT:
            await asyncio.sleep(0.05)  # wait for the sent bytes to arrive, because a reset can overtake them
            _reset(request)
        case Kind.TRUNCATE:
            if request.transport:
                request.transport.close()
            raise ConnectionResetError("closed as scripted")
        case Kind.GARBAGE:
            await response.write(GARBAGE)
        case Kind.ERROR_EVENT:
            if streamed:
                await response.write(wire.error_event())
        case _:
            pass


def _reset(request: web.Request) -> NoReturn:
    """End the connection with a reset instead of a regular end."""
    transport = request.transport
    if transport is not None:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    raise ConnectionResetError("reset as scripted")


def _with_huge_text(reply: Reply) -> Reply:
    return Reply(**{**reply.__dict__, "words": ("x" * HUGE, *reply.words)})


def _stamped(frame: bytes) -> bytes:
    mark = STAMP.encode()
    return frame.replace(mark, f"{time.monotonic_ns():020d}".encode()) if mark in frame else frame


def _halves(body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    yield body[len(body) // 2 :]


def _bytes(frame: bytes) -> Iterator[bytes]:
    for index in range(len(frame)):
        yield frame[index : index + 1]
