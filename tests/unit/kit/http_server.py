"""A server of raw answers on this machine: a test writes each answer's bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Received:
    """A request. The names of its headers are in lower case."""

    line: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class HttpServer:
    """A running server."""

    url: str
    connections: int = 0
    """The number of accepted connections."""
    received: list[Received] = field(default_factory=list[Received])


@contextmanager
def http_server(answer: Callable[[Received], bytes | None]) -> Iterator[HttpServer]:
    """Serve with the bytes that ``answer`` returns for each request; None closes the connection without an answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
    open_sockets: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                accepted = listener.accept()[0]
            except OSError:
                return  # the test is over
            server.connections += 1
            open_sockets.append(accepted)
            threading.Thread(target=_serve, args=(accepted, server, answer), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in open_sockets:
            each.close()


def _serve(accepted: socket.socket, server: HttpServer, answer: Callable[[Received], bytes | None]) -> None:
    try:
        with accepted, accepted.makefile("rb") as stream:
            while line := stream.readline():
                headers: dict[str, str] = {}
                while (field_line := stream.readline()) not in (b"\r\n", b""):
                    name, _, value = field_line.decode("latin-1").partition(":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                request = Received(line.decode("latin-1").rstrip(), headers, body)
                server.received.append(request)
                sent = answer(request)
                if sent is None:
                    return
                accepted.sendall(sent)
                if b"connection: close" in sent.partition(b"\r\n\r\n")[0]:
                    return
    except OSError:
        return  # the client is gone
