"""The server: it finds the format by the path, follows the script, and records every request."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.waiting import PATIENCE

from . import embeddings
from .conversations import Heard
from .faults import answer
from .formats import WIRES, Reply, Wire
from .formats.wire import STAMP, words
from .records import Record
from .scripts import TITLE, Kind, Script, written_in
from .strict import RULES

LARGEST = 64 * 1024 * 1024
MODELS = "/models"


@dataclass
class Upstreams:
    """The running server: its address and its recorded requests."""

    url: str = ""
    strict: bool = False
    """True: refuse what the real APIs refuse (`strict.py`)."""
    records: list[Record] = field(default_factory=list[Record])
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    def base(self, upstream: str, version: str = "/v1") -> str:
        """Return the base URL of the upstream with that name."""
        return f"{self.url}/{upstream}{version}"

    def of(self, script: Script) -> list[Record]:
        """Return the requests with `script`, in order of arrival."""
        return [record for record in self.records if record.tag == script.tag]

    def ended(self, script: Script, seconds: float = PATIENCE) -> list[Record]:
        """Return the requests with `script` when all of them have ended; fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while any(record.ended is None for record in self.of(script)):
            assert time.monotonic() < deadline, "an upstream still answers"
            time.sleep(0.01)
        return self.of(script)

    def application(self) -> web.Application:
        """Return the ASGI application of the server."""
        application = web.Application(client_max_size=LARGEST)
        application.router.add_route("*", "/{path:.*}", self._serve)
        return application

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith(MODELS):
            return web.json_response({"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        if request.method == "POST" and embeddings.PATH.search(request.path):
            status, told = embeddings.embed(request.path, await request.json())
            return web.json_response(told, status=status)
        for wire in WIRES:
            if (match := wire.path.search(request.rel_url.raw_path)) and request.method == "POST":
                return await self._call(request, wire, match.groupdict())
        return web.json_response({"error": {"message": f"no such path: {request.path}"}}, status=404)

    async def _call(self, request: web.Request, wire: Wire, named: dict[str, str]) -> web.StreamResponse:
        record = Record(
            upstream=request.path.split("/")[1],
            tag="",
            method=request.method,
            path=request.path_qs,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=None,
            began=time.monotonic(),
        )
        self.records.append(record)
        try:
            record.body = json.loads(await request.read())
            heard = wire.read(record.body)
            record.refused = list(RULES[wire.name](record.body)) if self.strict and wire.name in RULES else []
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            heard, record.refused = Heard(), [f"the upstream does not understand: {error!r}"]
        if record.refused:
            record.ended = time.monotonic()
            return web.json_response(wire.error(400, record.refused[0]), status=400)
        script = written_in(heard.prompt) or Script(say=f"You said: {heard.prompt[:80]}", tag="")
        model = unquote(named.get("model") or record.body.get("model", ""))
        streamed = heard.stream or named.get("method", "") in ("streamGenerateContent", "invoke-with-response-stream")
        record.tag = script.tag
        record.notes = {"wire": wire.name, "model": model, "stream": streamed, "heard": dataclasses.asdict(heard)}
        record.notes["number"] = self._number(script, record.upstream)
        try:
            return await answer(request, wire, script, self._reply(script, heard, model, record), record)
        except (asyncio.CancelledError, ConnectionResetError) as error:
            record.disconnected = not str(error).endswith("as scripted")
            raise
        finally:
            record.ended = time.monotonic()

    def _number(self, script: Script, upstream: str) -> int:
        """Count the requests of a script at an upstream; the first is 0."""
        self._seen[script.tag, upstream] += 1
        return self._seen[script.tag, upstream] - 1

    def _reply(self, script: Script, heard: Heard, model: str, record: Record) -> Reply:
        """Choose the answer by the script and the progress of the turn."""
        fault = script.fault(record.upstream)
        used = None if fault and fault.kind is Kind.NO_USAGE else script.usage
        options = record.body.get("stream_options") or {}
        reply = Reply(f"{next(self._numbers):06d}", model, usage=used, usage_asked=bool(options.get("include_usage")))
        if script.steps and not heard.tools:
            return dataclasses.replace(reply, words=words(TITLE))  # a title of the turn, or a summary, is asked for
        done = len(heard.results)
        # A summary stands for the results that the client had before.
        for step in () if TITLE in json.dumps(record.body) else script.steps:
            if done < len(step):
                think = words(script.think)
                calls = tuple(call.filled(heard.results) for call in step[done:])
                return dataclasses.replace(reply, think=think, calls=calls, stop="calls")
            done -= len(step)
        return dataclasses.replace(reply, words=self._said(script, heard), think=words(script.think), stop=script.stop)

    @staticmethod
    def _said(script: Script, heard: Heard) -> tuple[str, ...]:
        if script.describe:
            return words(json.dumps(dataclasses.asdict(heard) | {"prompt": ""}))
        said = words(script.say)
        return tuple(f"{STAMP} " for _ in said) if script.stamp else said


@contextmanager
def running(port: int = 0) -> Iterator[Upstreams]:
    """Serve on a port of 127.0.0.1 (0: a free one), from a thread of its own."""
    upstreams = Upstreams()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="upstreams", daemon=True)
    thread.start()

    def result(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)

    runner = result(start(upstreams, port))
    try:
        yield upstreams
    finally:
        result(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


async def start(upstreams: Upstreams, port: int) -> web.AppRunner:
    """Start to serve. A handler is cancelled when its caller disconnects."""
    runner = web.AppRunner(upstreams.application(), shutdown_timeout=1, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    upstreams.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner
