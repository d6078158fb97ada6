"""Requests to the hub: bodies are passed on while they arrive, and answers as they are."""

import aiohttp
from aiohttp import web
from yarl import URL

from local.front_door import refusals
from local.front_door.forwarding import HOP_BY_HOP, forwarded, passed_on, target_of
from local.front_door.http import SKIPPED, named
from local.front_door.settings import Settings


class HubDoor:
    """Forwards requests to the hub over kept connections, with the front door's secret."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Create the client, which belongs to the running loop."""
        self._client = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=SKIPPED,
            timeout=aiohttp.ClientTimeout(total=self._settings.quotas.stream_seconds),
        )

    async def close(self) -> None:
        """Close the connections to the hub."""
        if self._client:
            await self._client.close()

    async def forward(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request as the hub answers it.

        Raises:
            Refusal: The hub does not answer.
        """
        if self._client is None:
            raise RuntimeError("the door is used before it is open")
        client_headers = request.headers
        ours = forwarded(request.host, request.remote or "", client_headers, self._settings)
        headers = [*passed_on(client_headers.items()), *ours.items()]
        url = URL(self._settings.hub_url + target_of(request), encoded=True)
        body = request.content if request.body_exists else None
        try:
            async with self._client.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                content = await answer.read()
                end_to_end = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
                return web.Response(status=answer.status, headers=named(end_to_end), body=content)
        except TimeoutError:
            raise refusals.too_slow(self._settings.quotas.stream_seconds) from None
        except aiohttp.ClientError:
            raise refusals.unavailable() from None
