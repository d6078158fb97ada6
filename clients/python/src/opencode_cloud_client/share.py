"""Shares for their owners: create, sync, delete."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import cast

import httpx

from .backoff import Backoff
from .counters import Counters
from .errors import ProtocolError
from .following import Follower, follow
from .protocol import Json, NewItem, decode
from .publishing import Publisher
from .transport import Http, Server


class Share:
    """A share and the secret to write to it. Made by `Share.create()`.

        async with await Share.create("https://cloud.example.com", "ses_...") as share:
            await share.sync([{"type": "session", "data": session}])
            print(share.url)

    Requests are repeated, with back-off, while their failure may pass; all of them are idempotent.
    """

    def __init__(
        self,
        server: str,
        share: str,
        secret: str,
        *,
        url: str | None = None,
        backoff: Backoff | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Use an existing share, by its id and secret."""
        self.id = share
        self.secret = secret
        self.server = Server.at(server)
        self.url = url or f"{self.server.url}/share/{share}"
        """Return the link for people."""
        self.counters = Counters()
        self._backoff = backoff or Backoff(attempts=5)
        self._http = Http(self.server, self.counters, self._backoff, http)

    @classmethod
    async def create(
        cls, url: str, session_id: str, *, backoff: Backoff | None = None, http: httpx.AsyncClient | None = None
    ) -> Share:
        """Share the session `session_id` on the server at `url`. A shared session keeps its share."""
        requests = Http(Server.at(url), Counters(), backoff or Backoff(attempts=5), http)
        try:
            answer = await requests.call("POST", "/api/share", {"sessionID": session_id})
        finally:
            await requests.close()
        match answer:
            case {"id": str(share), "url": str(link), "secret": str(secret)}:
                return cls(url, share, secret, url=link, backoff=backoff, http=http)
            case _:
                raise ProtocolError("the answer to create has no id, url and secret")

    def __repr__(self) -> str:
        return f"Share({self.url!r})"  # without the secret, because reprs get into logs

    async def __aenter__(self) -> Share:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def sync(self, items: Iterable[NewItem]) -> int:
        """Publish a batch over HTTP; return the number of its last item when it is durable."""
        body = cast("Json", {"secret": self.secret, "data": list(items)})
        match await self._http.call("POST", f"/api/share/{self.id}/sync", body):
            case {"seq": int(seq)}:
                return seq
            case _:
                raise ProtocolError("the answer to sync has no seq")

    async def data(self) -> list[NewItem]:
        """Return the share's state, as opencode's `import` reads it: a copy with new ids in every answer."""
        answer = decode(await self._http.get(f"/api/share/{self.id}/data"))
        if not isinstance(answer, list):
            raise ProtocolError("the share's data is not a list")
        return cast("list[NewItem]", answer)

    async def delete(self) -> None:
        """Unshare: remove the share for everyone. Deleting a removed share is not an error."""
        await self._http.call("DELETE", f"/api/share/{self.id}", {"secret": self.secret})

    def publisher(self, *, in_flight: int = 1) -> Publisher:
        """Return a publisher over a socket, which is cheaper and faster than `sync` for many small batches."""
        return Publisher(
            self.server, self.id, self.secret, self.counters, self.sync, backoff=self._backoff, in_flight=in_flight
        )

    def follow(self, after: int = 0) -> Follower:
        """Return a follower of this share."""
        return follow(self.server.url, self.id, after)

    async def close(self) -> None:
        """Close the HTTP connections."""
        await self._http.close()
