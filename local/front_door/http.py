"""Plain requests: read completely, checked against quotas, and forwarded to the HTTP API."""

import json
import time
from collections.abc import Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from local.emulator.arrivals import ARRIVAL_HEADER
from local.front_door import refusals
from local.front_door.forwarding import HOP_BY_HOP, forwarded, passed_on, target_of
from local.front_door.refusals import Refusal
from local.front_door.settings import Quotas, Settings

SKIPPED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp's client would add by itself."""

TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
"""Content types whose bodies an HTTP API passes to Lambda unchanged. Others become Base64."""

EVENT_OVERHEAD = 2048
"""Upper estimate of the bytes of an event without headers and body."""


class HttpDoor:
    """Forwards requests to the HTTP API over connections that stay open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._quotas = settings.quotas
        self._client: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Create the client, which belongs to the running loop."""
        self._client = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=SKIPPED,
            timeout=aiohttp.ClientTimeout(total=self._quotas.http_seconds),
        )

    async def close(self) -> None:
        """Close the connections to the API."""
        if self._client:
            await self._client.close()

    async def forward(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as the HTTP API answers it.

        Raises:
            Refusal: A limit is exceeded, or the API does not answer.
        """
        arrived = time.time_ns() // 1_000_000  # before the body is read
        body = await read_event(request, self._quotas)
        status, headers, content = await self._ask(request, body, arrived)
        if status == 502:
            # A handler raised: the emulator shows the error's text, API Gateway does not.
            raise Refusal(500, "internal_error", "Something went wrong on our side. Try again.")
        self._check_answer(headers, content)
        end_to_end = [(name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP]
        return web.Response(status=status, headers=named(end_to_end), body=content)

    async def _ask(self, request: web.BaseRequest, body: bytes, arrived: int) -> tuple[int, Mapping[str, str], bytes]:
        if self._client is None:
            raise RuntimeError("the door is used before it is open")
        client_headers = request.headers
        ours = forwarded(request.host, request.remote or "", client_headers, self._settings)
        headers = [*passed_on(client_headers.items()), *ours.items(), (ARRIVAL_HEADER, str(arrived))]
        url = URL(self._settings.http_url + target_of(request), encoded=True)
        try:
            async with self._client.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                return answer.status, answer.headers, await answer.read()
        except TimeoutError:
            raise refusals.too_slow(self._quotas.http_seconds) from None
        except aiohttp.ClientError:
            raise refusals.unavailable() from None

    def _check_answer(self, headers: Mapping[str, str], content: bytes) -> None:
        limit = self._quotas.lambda_payload
        if embedded_size(content, headers, limit) > limit:
            raise refusals.answer_too_large()


async def read_event(request: web.BaseRequest, quotas: Quotas) -> bytes:
    """Return the whole body of a request that fits into an event of Lambda's.

    Raises:
        Refusal: It is larger than the gateway, or an event, may be.
    """
    limit = quotas.http_body
    if (request.content_length or 0) > limit:
        raise refusals.body_too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise refusals.body_too_large(limit)
        chunks.append(chunk)
    body = b"".join(chunks)
    headers = sum(len(name) + len(value) for name, value in request.raw_headers)
    limit = quotas.lambda_payload
    if EVENT_OVERHEAD + headers + embedded_size(body, request.headers, limit) > limit:
        raise refusals.event_too_large(limit)
    return body


def embedded_size(body: bytes, headers: Mapping[str, str], limit: int) -> int:
    """Return the size of `body` in a Lambda event or answer, both of which are JSON documents.

    Text is escaped, anything else becomes Base64. Counted exactly only when it may matter for `limit`.
    """
    if len(body) * 6 <= limit:  # no byte becomes more than six: \\u0000
        return len(body)
    if is_text(headers):
        try:
            return len(json.dumps(body.decode(), ensure_ascii=False).encode())
        except UnicodeDecodeError:
            pass
    return (len(body) + 2) // 3 * 4


def is_text(headers: Mapping[str, str]) -> bool:
    """Tell whether a body with these headers is sent as text."""
    if headers.get("Content-Encoding", "identity") != "identity":
        return False
    return headers.get("Content-Type", "text/plain").lower().startswith(TEXT_TYPES)


def named(headers: list[tuple[str, str]]) -> CIMultiDict[str]:
    """Return an answer's headers, with our server name if the origin has none."""
    named_headers = CIMultiDict(headers)
    named_headers.setdefault("Server", "opencode-cloud")
    return named_headers
