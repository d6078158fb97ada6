"""Posts among the processes of one deployment: encrypted and authenticated with a shared key, over plain HTTP.

A post is sealed with AES-256-GCM. The time of sending is authenticated, too, so an old post is refused. A receiver
accepts each post once.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from opencode_cloud.kit.aws_api.connections import Connections
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import Forbidden
from opencode_cloud.kit.log import logger

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PostOutcome = Literal["sent", "unreachable", "refused"]
POST_PATH = "/internal/posts"
"""The path at which every receiver takes posts."""
FRESH_SECONDS = 60
"""How far the clocks of sender and receiver may differ, including the way of the post."""
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 4.0
_CONTEXT = b"sealed-post/1"
_NONCE_BYTES, _TIME_BYTES = 12, 8
_REMEMBERED = 100_000


def post_refused() -> Forbidden:
    """Return the error for a post that was not sealed by this deployment now, or was received before."""
    return Forbidden("post_refused", "The post is not of this deployment, or is too old, or was received before.")


class PostSeal:
    """Seals and opens posts. ``key`` returns the shared key of 32 bytes, and is called at the first use."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key
        self._cipher: AESGCM | None = None
        self._received: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def seal(self, content: bytes) -> bytes:
        """Return ``content`` in the form of a post."""
        sent = now_seconds().to_bytes(_TIME_BYTES, "big")
        nonce = os.urandom(_NONCE_BYTES)
        return sent + nonce + self._aes().encrypt(nonce, content, _CONTEXT + sent)

    def open(self, post: bytes) -> bytes:
        """Return the content of a post. Raises ``post_refused`` (403)."""
        from cryptography.exceptions import InvalidTag

        sent, nonce = post[:_TIME_BYTES], post[_TIME_BYTES : _TIME_BYTES + _NONCE_BYTES]
        try:
            content = self._aes().decrypt(nonce, post[_TIME_BYTES + _NONCE_BYTES :], _CONTEXT + sent)
        except (InvalidTag, ValueError):
            raise post_refused() from None
        at = int.from_bytes(sent, "big")
        if abs(now_seconds() - at) > FRESH_SECONDS or not self._is_first(nonce, at):
            raise post_refused()
        return content

    def _aes(self) -> AESGCM:
        if self._cipher is None:
            # Most deployments have no such posts, and it takes a tenth of a start.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(self._key())
        return self._cipher

    def _is_first(self, nonce: bytes, at: int) -> bool:
        with self._lock:
            while self._received and next(iter(self._received.values())) < now_seconds() - 2 * FRESH_SECONDS:
                self._received.popitem(last=False)
            if nonce in self._received or len(self._received) >= _REMEMBERED:
                return False
            self._received[nonce] = at
            return True


class Poster:
    """Sends posts over kept connections, from any number of threads."""

    def __init__(self, seal: PostSeal) -> None:
        self._seal = seal
        self._connections: dict[str, Connections] = {}

    def post(self, address: str, content: bytes) -> PostOutcome:
        """Send ``content`` to the origin ``address``, which must be trustworthy.

        ``unreachable`` means that nothing answers there, ``refused`` any other answer than 2xx.
        """
        body = self._seal.seal(content)
        connections = self._to(address)
        head = f"POST {POST_PATH} HTTP/1.1\r\nhost: {connections.host}\r\ncontent-length: {len(body)}\r\n\r\n"
        try:
            answer = connections.exchange("POST", head.encode(), body)
        except AwsUnreachable:
            self._connections.pop(address, None)
            return "unreachable"
        if answer.status >= 300:
            logger.warning("post refused", extra={"status": answer.status})
            return "refused"
        return "sent"

    def _to(self, address: str) -> Connections:
        connections = self._connections.get(address)
        if connections is None:
            parts = urlsplit(address)
            origin = f"{parts.scheme}://{parts.netloc}"
            connections = Connections(origin, connect_seconds=CONNECT_SECONDS, read_seconds=ANSWER_SECONDS)
            self._connections[address] = connections
        return connections
