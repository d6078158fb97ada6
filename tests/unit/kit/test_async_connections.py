"""Kept connections of an event loop: framing of answers, reuse, cancellation, and failures."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.kit.aws_api import async_connections as module
from opencode_cloud.kit.aws_api.async_connections import AsyncConnections, BrokenExchange
from opencode_cloud.kit.aws_api.connections import Answer
from tests.unit.kit.http_server import HttpServer, Received, http_server
from tests.waiting import PATIENCE, until

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"
BODY = b"body"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def connections(server: HttpServer, *, most: int = 10, read_seconds: float = PATIENCE) -> AsyncConnections:
    return AsyncConnections(server.url, connect_seconds=PATIENCE, read_seconds=read_seconds, most=most)


def always(answer: bytes | None) -> Callable[[Received], bytes | None]:
    return lambda _: answer


@pytest.mark.parametrize(
    ("answer", "body", "kept"),
    [
        (OK, b"ok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", b"abcd", True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\ntrailer: x\r\n\r\n", b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok", False),
        (OK + b"more", b"ok", False),
    ],
)
async def test_each_framing_is_read_to_its_end(answer: bytes, body: bytes, kept: bool) -> None:
    with http_server(always(answer)) as server:
        client = connections(server)
        assert [(await client.exchange(HEAD, BODY)).body for _ in range(2)] == [body, body]
        client.close()
    assert (server.connections == 1) is kept
    assert [each.body for each in server.received] == [BODY, BODY]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 30))
def test_an_answer_may_come_in_pieces_of_any_size(parts: list[bytes], size: int) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    sent = b"HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n" + chunks
    for end in range(0, len(sent), size):
        assert module._read(sent[:end]) is None  # pyright: ignore[reportPrivateUsage]
    whole = Answer(200, {"x-a": "b", "transfer-encoding": "chunked"}, b"".join(parts))
    assert module._read(sent) == (whole, True)  # pyright: ignore[reportPrivateUsage]


async def test_a_kept_connection_that_its_peer_closed_is_replaced() -> None:
    answers = [OK, None, OK]
    with http_server(lambda _: answers.pop(0)) as server:
        client = connections(server)
        await client.exchange(HEAD, BODY)
        assert (await client.exchange(HEAD, BODY)).body == b"ok"
        client.close()
    assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)
    with http_server(always(OK)) as server:
        client = connections(server)
        await client.exchange(HEAD, BODY)
        await client.exchange(HEAD, BODY)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, BrokenExchange),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", TimeoutError),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\nok", BrokenExchange),
        (b"HTTP/1.1 200 OK\r\n\r\nok", BrokenExchange),
        (b"SSH-2.0\r\n\r\n", BrokenExchange),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nodd\r\n", BrokenExchange),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, BrokenExchange),
    ],
)
async def test_an_answer_that_is_cut_off_odd_or_late_is_a_failure(answer: bytes | None, error: type[Exception]) -> None:
    read_seconds = 0.5 if error is TimeoutError else PATIENCE
    with http_server(always(answer)) as server:
        with pytest.raises(error):
            await connections(server, read_seconds=read_seconds).exchange(HEAD, BODY)
        await asyncio.to_thread(until, lambda: server.received)
        assert server.connections == len(server.received) == 1  # a request that may be executed is not sent again


async def test_a_host_that_does_not_listen_is_a_failure() -> None:
    with http_server(always(OK)) as server:
        client = connections(server)
    with pytest.raises(OSError, match="Connect"):
        await client.exchange(HEAD, BODY)


def certificate(folder: Path) -> Path:
    """Write a key and a certificate of `localhost` that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "localhost.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_host_with_tls_must_be_the_one_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(HEAD + BODY))
        writer.write(OK)
        await writer.drain()
        writer.close()

    file = certificate(tmp_path)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(file)
    context = ssl.create_default_context(cafile=str(file) if trusted else None)
    monkeypatch.setattr(module, "trusting", lambda: context)
    async with await asyncio.start_server(serve, "localhost", 0, ssl=own) as server:
        port = server.sockets[0].getsockname()[1]
        client = AsyncConnections(f"https://localhost:{port}", connect_seconds=PATIENCE, read_seconds=PATIENCE, most=1)
        if trusted:
            assert (await client.exchange(HEAD, BODY)).body == b"ok"
            client.close()
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                await client.exchange(HEAD, BODY)


async def test_at_most_so_many_requests_are_sent_at_once() -> None:
    with http_server(always(OK)) as server:
        client = connections(server, most=3)
        answers = await asyncio.gather(*(client.exchange(HEAD, BODY) for _ in range(40)))
        client.close()
    assert {each.body for each in answers} == {b"ok"}
    assert server.connections <= 3


async def test_the_answer_to_a_cancelled_request_is_no_other_ones() -> None:
    with http_server(lambda asked: None if asked.body == b"late" else OK) as server:
        client = connections(server)
        await client.exchange(HEAD, BODY)
        waiting = asyncio.create_task(client.exchange(HEAD, BODY))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await client.exchange(HEAD, BODY)).body == b"ok"
        client.close()
        await asyncio.to_thread(until, lambda: server.connections == 2)


async def test_closing_fails_what_is_on_its_way() -> None:
    with http_server(always(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")) as server:
        client = connections(server)
        waiting = asyncio.create_task(client.exchange(HEAD, BODY))
        await asyncio.to_thread(until, lambda: server.received)
        client.close()
        with pytest.raises((BrokenExchange, TimeoutError)):
            await waiting
