"""Tickets prove that a follower may read a restricted share."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping

from .errors import ProtocolError
from .protocol import Json

HEADER = "x-share-ticket"
MARGIN = 120.0
"""Seconds before a ticket's expiry at which it is replaced."""

Post = Callable[[str, Json, Mapping[str, str]], Awaitable[Json]]
"""Sends a JSON body to a path of the server, with headers, and returns the JSON answer."""


class Tickets:
    """The tickets of one share: got by a bearer (access token or key) or by the share's password, and renewed in time.

    Without either, and for a share that everyone may read, there is no ticket.
    """

    def __init__(self, share: str, bearer: str | None, password: str | None) -> None:
        self._share = share
        self._bearer = bearer
        self._password = password
        self._ticket: str | None = None
        self._renew_at = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request over HTTP."""
        return {HEADER: self._ticket} if self._ticket else {}

    async def present(self, post: Post) -> str | None:
        """Return a ticket that is valid for a while; raises Unauthorized or Forbidden when the server issues none."""
        if self._bearer is None and self._password is None:
            return None
        if time.monotonic() >= self._renew_at:
            match await self._ask(post):
                case {"ticket": str(ticket), "expires_in": int(seconds)}:
                    self._ticket, self._renew_at = ticket, time.monotonic() + seconds - MARGIN
                case {"ticket": None}:
                    self._ticket, self._renew_at = None, time.monotonic() + MARGIN
                case _:
                    raise ProtocolError("the answer has no ticket")
        return self._ticket

    def doubt(self) -> None:
        """Renew the ticket before its next use: a closed connection may mean that all tickets are void."""
        self._renew_at = 0.0

    async def _ask(self, post: Post) -> Json:
        if self._password is not None:
            return await post(f"/share/{self._share}/unlock", {"password": self._password}, {})
        return await post(f"/share/{self._share}/ticket", {}, {"authorization": f"Bearer {self._bearer}"})
