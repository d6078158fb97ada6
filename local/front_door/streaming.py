"""Model calls: the request is read completely, as Lambda requires; the answer is passed on byte by byte."""

import aiohttp
from aiohttp import web
from yarl import URL

from local.front_door import refusals
from local.front_door.forwarding import HOP_BY_HOP, forwarded, passed_on, target_of
from local.front_door.http import SKIPPED, named, read_event
from local.front_door.settings import Settings

CONNECT_SECONDS = 10


class StreamDoor:
    """Forwards requests to the gateway over kept connections, with the front door's secret.

    When a viewer disconnects, the server cancels the handler, which closes the connection to the gateway at once.
    """

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
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=self._quotas.stream_seconds
            ),
        )

    async def close(self) -> None:
        """Close the connections to the gateway."""
        if self._client:
            await self._client.close()

    async def forward(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as the gateway answers it; a stream that breaks off there breaks off here.

        Raises:
            Refusal: A limit is exceeded, or the gateway does not begin to answer.
        """
        if self._client is None:
            raise RuntimeError("the door is used before it is open")
        body = await read_event(request, self._quotas)
        url = URL(self._settings.gateway_url + target_of(request), encoded=True)
        response: web.StreamResponse | None = None
        try:
            async with self._client.request(
                request.method, url, headers=self._headers(request), data=body or None, allow_redirects=False
            ) as answer:
                end_to_end = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
                if answer.status >= 400 and request.method in ("GET", "HEAD"):
                    # The front door keeps errors as the CDN does, so it needs them whole.
                    return web.Response(status=answer.status, headers=named(end_to_end), body=await answer.read())
                response = web.StreamResponse(status=answer.status, headers=named(end_to_end))
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            if response is not None:
                _cut(request)
                return response
            if isinstance(error, TimeoutError):
                raise refusals.gateway_timeout(self._quotas.stream_seconds) from None
            raise refusals.unavailable() from None
        return response

    def _headers(self, request: web.BaseRequest) -> list[tuple[str, str]]:
        client_headers = request.headers
        ours = forwarded(request.host, request.remote or "", client_headers, self._settings)
        return [*passed_on(client_headers.items()), *ours.items()]


def _cut(request: web.BaseRequest) -> None:
    """Cut the viewer's connection, so that half an answer does not look complete."""
    if request.transport is not None:
        request.transport.abort()
