"""HTTP calls to upstreams over pooled connections of one event loop, with a timer for each phase."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from opencode_cloud.catalogue.models import UpstreamKind
from opencode_cloud.gateway.formats import LONGEST_RETRY_AFTER
from opencode_cloud.gateway.models import AttemptFailed, Failure, UpstreamTarget
from opencode_cloud.gateway.store import requests
from opencode_cloud.gateway.store.bedrock import EVENT_STREAM, Bedrock, EventStreamDecoder
from opencode_cloud.kit.async_http import AbstractResolver, ResolveResult, aiohttp
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.networks import is_private, is_private_host
from opencode_cloud.kit.tls import trusting

CHUNK_BYTES = 64 * 1024
LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that is not streamed. A longer answer counts as broken."""
_DIGITS = re.compile(r"[0-9]{1,300}(?:\.[0-9]{1,300})?")
KEPT_SECONDS = 60
"""Time for which an idle connection stays open."""


class Upstreams:
    """Sends requests to upstreams. :meth:`close` closes all connections."""

    def __init__(self, *, private: bool) -> None:
        """``private``: whether addresses that a workspace configured may be in private networks."""
        self._private = private
        self._bedrock: Bedrock | None = None
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def open(
        self, target: UpstreamTarget, body: bytes, passed_on: Mapping[str, str], *, stream: bool
    ) -> HttpResponse:
        """Send a request and wait for status and headers of its answer, whatever the status.

        Raises :class:`AttemptFailed` if they do not arrive in time.
        """
        timers = target.upstream.timers
        # An answer that is not streamed sends no byte before its last token is generated.
        patience = timers.first_byte if stream else timers.total
        if target.upstream.kind is UpstreamKind.BEDROCK:
            url, headers, body = self._sign(target, body, passed_on, stream=stream)
        else:
            url = requests.address(target, stream=stream)
            headers = requests.headers(target, passed_on, stream=stream)
        # The connector asks no resolver about an IP address.
        if target.byok and not self._private and is_private_host(urlsplit(url).hostname or ""):
            raise AttemptFailed(Failure.UNREACHABLE, "a private address")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=timers.connect)
        try:
            async with asyncio.timeout(timers.connect + patience):
                response = await self._session(guarded=target.byok).post(
                    url, data=body, headers=headers, timeout=timeout, allow_redirects=False
                )
        except (aiohttp.ServerTimeoutError, aiohttp.ClientConnectorError) as error:
            raise AttemptFailed(Failure.UNREACHABLE, f"no connection ({type(error).__name__})") from error
        except TimeoutError as error:
            raise AttemptFailed(Failure.SLOW, f"no answer within {patience:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise AttemptFailed(Failure.UNREACHABLE, f"the connection broke ({type(error).__name__})") from error
        return HttpResponse(response)

    def _sign(
        self, target: UpstreamTarget, body: bytes, passed_on: Mapping[str, str], *, stream: bool
    ) -> tuple[str, dict[str, str], bytes]:
        if self._bedrock is None:
            self._bedrock = Bedrock()
        return self._bedrock.request(target, body, passed_on, stream=stream)

    def _session(self, *, guarded: bool) -> aiohttp.ClientSession:
        if guarded not in self._sessions:
            resolver = PublicResolver() if guarded and not self._private else None
            self._sessions[guarded] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=KEPT_SECONDS, resolver=resolver, ssl=trusting()
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                read_bufsize=4 * CHUNK_BYTES,
            )
        return self._sessions[guarded]


class HttpResponse:
    """An upstream's answer after its status and headers have arrived."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._decoder = EventStreamDecoder() if response.content_type == EVENT_STREAM else None
        self.status = response.status
        self.content_type = "text/event-stream" if self._decoder else response.content_type

    @property
    def retry_after(self) -> float | None:
        """Seconds that the upstream asks to wait; None: it does not say."""
        headers = self._response.headers
        milliseconds, seconds = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
        if _DIGITS.fullmatch(milliseconds):
            wait = float(milliseconds) / 1000
        elif _DIGITS.fullmatch(seconds):
            wait = float(seconds)
        else:
            wait = _until(seconds)
        return None if wait is None else min(wait, LONGEST_RETRY_AFTER)

    @property
    def service_tier(self) -> str:
        """The service tier in the headers, as the Gemini API reports it; empty: none."""
        return self._response.headers.get("x-gemini-service-tier", "")

    async def chunk(self) -> bytes:
        """Return the next part of the body as soon as it arrives; empty at the end.

        Raises :class:`AttemptFailed` when the connection breaks. A caller may cancel the wait and call again.
        """
        try:
            while data := await self._response.content.readany():
                if self._decoder is None:
                    return data
                if events := self._decoder.feed(data):
                    return events
        except (aiohttp.ClientError, OSError) as error:
            raise AttemptFailed(Failure.UNREACHABLE, f"the connection broke ({type(error).__name__})") from error
        return b""

    async def body(self, longest: int = LONGEST_ANSWER) -> bytes:
        """Return the whole body; raises :class:`AttemptFailed` if it breaks off or exceeds ``longest`` bytes."""
        parts: list[bytes] = []
        size = 0
        while data := await self.chunk():
            parts.append(data)
            size += len(data)
            if size > longest:
                raise AttemptFailed(Failure.BROKEN, f"the answer has more than {longest} bytes")
        return b"".join(parts)

    def close(self, *, used_up: bool) -> None:
        """Release the connection if the body was ``used_up``; else cut it, so that the upstream stops generating."""
        if used_up:
            self._response.release()
        else:
            self._response.close()


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only: an address that a workspace configured must not reach our networks."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``; raises :class:`OSError` if one of them is private."""
        results = await self._resolver.resolve(host, port, family)
        if any(is_private(result["host"]) for result in results):
            raise OSError("a private address")
        return results

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


def _until(date: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now_seconds())
    except (ValueError, OverflowError):
        return None
