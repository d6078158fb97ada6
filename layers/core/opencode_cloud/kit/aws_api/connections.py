"""Kept HTTP/1.1 connections to one host, for threads that wait for each answer.

The standard library's ``http.client`` and urllib3 take 20 to 60 ms to import, mostly for mail headers and options that
AWS does not use. This module reads the framing that servers send: a length, chunks, or the end of the connection
(RFC 9112, section 6.3).
"""

from __future__ import annotations

import os
import select
import socket
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from io import BufferedReader
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from opencode_cloud.kit.aws_api.errors import AwsUnreachable

if TYPE_CHECKING:
    import ssl

KEPT = 64
"""Idle connections that are kept. Further ones are closed after their answer."""
KEPT_SECONDS = 50.0
"""Time after which an idle connection is not used again, in seconds. A frozen function misses that its peer ends it."""
_LINE_BYTES = 64 * 1024
_JOINED_BYTES = 64 * 1024  # a smaller body is sent with its head by one system call
_WITHOUT_BODY = (204, 304)


class Answer(msgspec.Struct, frozen=True):
    """A response. The names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class BrokenConnection(Exception):
    """The connection failed; ``stale``: before the first byte of an answer."""

    def __init__(self, reason: str, *, stale: bool) -> None:
        super().__init__(reason)
        self.stale = stale


class Connection:
    """One connection, for one request at a time."""

    def __init__(self, sock: socket.socket, addressed: Callable[[bytes], bytes]) -> None:
        """``addressed`` completes the head of a request for a proxy."""
        self._socket = sock
        self._addressed = addressed
        self._reader: BufferedReader = sock.makefile("rb")
        self._used_at = time.monotonic()

    def fileno(self) -> int:
        """Return the descriptor, which becomes readable with the answer."""
        return self._socket.fileno()

    def send(self, head: bytes, body: bytes) -> None:
        """Send a request, whose ``head`` ends with an empty line. Raises :class:`BrokenConnection`."""
        head = self._addressed(head)
        try:
            if len(body) <= _JOINED_BYTES:
                self._socket.sendall(head + body)
            else:
                self._socket.sendall(head)
                self._socket.sendall(body)
        except OSError as error:
            raise BrokenConnection(type(error).__name__, stale=True) from error

    def receive(self, method: str) -> tuple[Answer, bool]:
        """Return the answer, and whether the connection can be used again. Raises :class:`BrokenConnection`."""
        answered = False
        try:
            first = self._reader.readline(_LINE_BYTES)
            answered = bool(first)
            return self._answer(method, first)
        except (OSError, ValueError, EOFError) as error:
            # A peer that does not answer in time may be executing the request.
            stale = not answered and not isinstance(error, TimeoutError)
            raise BrokenConnection(type(error).__name__, stale=stale) from error
        finally:
            self._used_at = time.monotonic()

    def is_open(self) -> bool:
        """Tell whether the idle connection can be used: it is not old, and the peer has kept it open."""
        if time.monotonic() - self._used_at > KEPT_SECONDS:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)  # an idle connection becomes readable by its end

    def close(self) -> None:
        """End the connection."""
        self._reader.close()
        self._socket.close()

    def _answer(self, method: str, first: bytes) -> tuple[Answer, bool]:
        status, kept = _status(first)
        headers = self._headers()
        while 100 <= status < 200:
            status, kept = _status(self._reader.readline(_LINE_BYTES))
            headers = self._headers()
        kept = kept and headers.get("connection", "").lower() != "close"
        if method == "HEAD" or status in _WITHOUT_BODY:
            return Answer(status, headers, b""), kept
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Answer(status, headers, self._chunks()), kept
        if "content-length" in headers:
            return Answer(status, headers, self._exactly(int(headers["content-length"]))), kept
        return Answer(status, headers, self._reader.read()), False

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while (line := self._reader.readline(_LINE_BYTES)) not in (b"\r\n", b"\n"):
            if not line:
                raise EOFError
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return headers

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := int(self._reader.readline(_LINE_BYTES).partition(b";")[0], 16):
            parts.append(self._exactly(size))
            self._reader.readline(_LINE_BYTES)
        self._headers()  # trailers
        return b"".join(parts)

    def _exactly(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) < size:
            raise EOFError
        return data


class Connections:
    """Connections to the host of one endpoint, for use by any number of threads."""

    def __init__(self, url: str, *, connect_seconds: float, read_seconds: float) -> None:
        """Connect to the origin of ``url``, through the proxy that the environment names."""
        parts = urlsplit(url)
        self.host = parts.netloc
        """The value of the header ``host``."""
        self._name = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._proxy = _proxy(parts.scheme, parts.netloc)
        self._idle: deque[Connection] = deque()

    def exchange(self, method: str, head: bytes, body: bytes = b"") -> Answer:
        """Send a request, whose ``head`` ends with an empty line, and return its answer.

        A kept connection that its peer has closed is replaced by another. Raises ``AwsUnreachable``.
        """
        while True:
            connection, kept = self.lease()
            try:
                connection.send(head, body)
                answer, reusable = connection.receive(method)
            except BrokenConnection as error:
                connection.close()
                if not (kept and error.stale):
                    raise AwsUnreachable(str(error)) from error
            except BaseException:
                connection.close()
                raise
            else:
                self.give_back(connection, reusable=reusable)
                return answer

    def lease(self) -> tuple[Connection, bool]:
        """Return a kept connection and true, or a new one and false. Raises ``AwsUnreachable``."""
        connection = self._kept()
        return (connection, True) if connection is not None else (self._connect(), False)

    def give_back(self, connection: Connection, *, reusable: bool) -> None:
        """Keep a connection for the next request, or end it."""
        if reusable and len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """End all idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                return None
            if connection.is_open():
                return connection
            connection.close()
        return None

    def _connect(self) -> Connection:
        proxy = self._proxy
        address = (proxy.hostname or "", proxy.port or 80) if proxy else (self._name, self._port)
        sock: socket.socket | None = None
        try:
            sock = socket.create_connection(address, self._connect_seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._secure:
                if proxy:
                    self._tunnel(sock, proxy)
                sock = self._context().wrap_socket(sock, server_hostname=self._name)
            sock.settimeout(self._read_seconds)
        except (OSError, ValueError, EOFError) as error:
            if sock is not None:
                sock.close()
            raise AwsUnreachable(f"{type(error).__name__} while connecting to {address[0]}") from error
        return Connection(sock, self._addressed)

    def _tunnel(self, sock: socket.socket, proxy: Any) -> None:
        target = f"{self._name}:{self._port}"
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{_authorization(proxy)}\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows belongs to TLS
            byte = sock.recv(1)
            if not byte or len(head) > _LINE_BYTES:
                raise ConnectionError("the proxy closed the connection")
            head += byte
        if _status(head)[0] != 200:
            raise ConnectionError("the proxy refused the connection")

    def _addressed(self, head: bytes) -> bytes:
        """Return a head that names the whole address if a proxy reads it (RFC 9112, section 3.2.2)."""
        if self._proxy is None or self._secure:
            return head
        method, _, rest = head.partition(b" ")
        lines = _authorization(self._proxy).encode()
        line, _, fields = rest.partition(b"\r\n")
        return b"%b http://%b%b\r\n%b%b" % (method, self.host.encode(), line, lines, fields)

    def _context(self) -> ssl.SSLContext:
        from opencode_cloud.kit.tls import trusting  # it takes 10 ms, and endpoints on a laptop have no TLS

        return trusting(os.environ.get("AWS_CA_BUNDLE", ""))


def _status(line: bytes) -> tuple[int, bool]:
    """Return the status, and whether the protocol's version keeps connections. Raises ValueError or EOFError."""
    if not line:
        raise EOFError
    if not line.startswith(b"HTTP/1."):
        raise ValueError("the answer is not HTTP/1.1")
    return int(line[9:12]), line[7:8] == b"1"


def _proxy(scheme: str, netloc: str) -> Any:
    """Return the parts of the URL of a host's proxy, by the standard library's rules of the environment."""
    if not any(os.environ.get(name) for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")):
        return None
    from urllib import request  # slow to import

    rules: Any = request  # its type stubs lack what every platform has
    proxies: dict[str, str] = rules.getproxies_environment()
    if scheme not in proxies or rules.proxy_bypass_environment(netloc, proxies):
        return None
    proxy = proxies[scheme]
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")


def _authorization(proxy: Any) -> str:
    if not proxy.username:
        return ""
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"proxy-authorization: Basic {b64encode(pair.encode()).decode()}\r\n"
