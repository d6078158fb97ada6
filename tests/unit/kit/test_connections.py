"""Kept connections: framing of answers, reuse, proxies, and failures."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.aws_api import connections as module
from opencode_cloud.kit.aws_api.connections import KEPT, Connections
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from tests.unit.kit.http_server import HttpServer, Received, http_server
from tests.waiting import PATIENCE

HEAD = b"GET /a?b=c HTTP/1.1\r\nhost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


SHORT = 2.0
"""Seconds after which an answer is late. An answer that comes at once must not take as long on a slow machine."""


def connections(server: HttpServer, *, read_seconds: float = PATIENCE) -> Connections:
    return Connections(server.url, connect_seconds=PATIENCE, read_seconds=read_seconds)


def always(answer: bytes | None) -> Callable[[Received], bytes | None]:
    return lambda _: answer


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", b"abcd"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\ntrailer: x\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end", b"until the end"),
    ],
)
def test_each_framing_is_read_to_its_end(answer: bytes, body: bytes) -> None:
    with http_server(always(answer)) as server:
        client = connections(server)
        assert [client.exchange("GET", HEAD).body for _ in range(2)] == [body, body]
        assert server.connections == (2 if b"connection: close" in answer else 1)


@given(st.lists(st.binary(min_size=1, max_size=200_000), max_size=4))
def test_chunks_of_any_size_are_joined(parts: list[bytes]) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    with http_server(always(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body)) as server:
        assert connections(server).exchange("GET", HEAD).body == b"".join(parts)


def test_an_answer_to_head_has_no_body() -> None:
    with http_server(always(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")) as server:
        client = connections(server)
        for _ in range(2):
            answer = client.exchange("HEAD", HEAD.replace(b"GET", b"HEAD"))
            assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", b"")
        assert server.connections == 1


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_a_request_is_sent_whole(size: int) -> None:
    body = b"x" * size
    with http_server(always(OK)) as server:
        connections(server).exchange("PUT", b"PUT /k HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % size, body)
        assert server.received[0].line == "PUT /k HTTP/1.1"
        assert server.received[0].body == body


def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nx: connection: close\r\n\r\n")  # the server closes and does not say so
    with http_server(always(closing)) as server:
        client = connections(server)
        assert [client.exchange("GET", HEAD).status for _ in range(3)] == [200] * 3
        assert server.connections == 3


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(always(OK)) as server:
        client = connections(server)
        client.exchange("GET", HEAD)
        monkeypatch.setattr(module, "KEPT_SECONDS", 0)
        client.exchange("GET", HEAD)
        assert server.connections == 2


def test_a_request_that_is_not_answered_in_time_is_not_sent_again() -> None:
    answers = iter([OK])
    waiting = Event()

    def answer(_: Received) -> bytes | None:
        given = next(answers, None)
        if given is None:
            waiting.wait(PATIENCE)
        return given

    with http_server(answer) as server:
        client = connections(server, read_seconds=SHORT)
        client.exchange("GET", HEAD)
        with pytest.raises(AwsUnreachable):
            client.exchange("GET", HEAD)
        assert len(server.received) == 2
        waiting.set()


def test_parallel_calls_have_a_connection_each_and_few_are_kept() -> None:
    barrier = Barrier(KEPT + 5)

    def together(_: Received) -> bytes:
        barrier.wait(timeout=PATIENCE)
        return OK

    with http_server(together) as server, ThreadPoolExecutor(KEPT + 5) as pool:
        client = Connections(server.url, connect_seconds=PATIENCE, read_seconds=PATIENCE)
        for _ in range(2):
            statuses = pool.map(lambda _: client.exchange("GET", HEAD).status, range(KEPT + 5))
            assert set(statuses) == {200}
        assert server.connections == KEPT + 5 + 5


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"SSH-2.0\r\n",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlate",
    ],
)
def test_an_answer_that_is_cut_off_or_late_is_a_failure(answer: bytes | None) -> None:
    with http_server(always(answer)) as server, pytest.raises(AwsUnreachable):
        connections(server, read_seconds=SHORT).exchange("GET", HEAD)


def test_a_host_that_does_not_listen_is_a_failure() -> None:
    with http_server(always(OK)) as server:
        client = connections(server)
    with pytest.raises(AwsUnreachable, match="connecting"):
        client.exchange("GET", HEAD)


def test_a_connection_that_fails_to_begin_tls_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(always(b"no TLS")) as server:
        client = Connections(server.url.replace("http", "https"), connect_seconds=SHORT, read_seconds=SHORT)
        closed: list[object] = []
        close = socket.socket.close
        monkeypatch.setattr(socket.socket, "close", lambda sock: (closed.append(sock), close(sock)))
        with pytest.raises(AwsUnreachable, match="connecting"):
            client.exchange("GET", HEAD)
        assert closed


def test_a_proxy_gets_the_whole_address_and_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(always(OK)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:p%40ss@"))
        client = Connections("http://service.example:81", connect_seconds=PATIENCE, read_seconds=PATIENCE)
        assert client.exchange("GET", HEAD).body == b"ok"
    assert proxy.received[0].line == "GET http://service.example:81/a?b=c HTTP/1.1"
    assert proxy.received[0].headers["proxy-authorization"] == f"Basic {b64encode(b'me:p@ss').decode()}"


def test_a_host_that_is_excepted_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(always(OK)) as server, http_server(always(OK)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert connections(server).exchange("GET", HEAD).status == 200
        assert proxy.connections == 0


@pytest.mark.parametrize(("answer", "reason"), [(b"HTTP/1.1 407 No\r\n\r\n", "connecting"), (None, "connecting")])
def test_a_proxy_that_refuses_a_tunnel_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None, reason: str
) -> None:
    with http_server(always(answer)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client = Connections("https://service.example", connect_seconds=PATIENCE, read_seconds=PATIENCE)
        with pytest.raises(AwsUnreachable, match=reason):
            client.exchange("GET", HEAD)
    assert proxy.received[0].line == "CONNECT service.example:443 HTTP/1.1"
