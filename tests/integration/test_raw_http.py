"""Bytes that no HTTP library would send get a clear answer, and leave the connections behind the front door in step.

Each request goes over a socket of its own. Two requests with known answers follow it: a connection that is out of step
(HTTP desynchronisation, RFC 9112, 11.2) would give one of them another answer.
"""

from __future__ import annotations

import gzip
import re
import socket
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway")]

ROUTES = [
    *("/api/share", "/api/share/x/sync", "/api/share/x", "/api/share/x/data", "/api/shares", "/share_create"),
    *("/share_sync", "/share_delete", "/share_poll?id=x", "/share_data?id=x", "/share/x", "/share/x.md"),
    *("/share/x/items?after=0", "/s/x", "/live", "/auth/device/code", "/auth/device/token", "/auth/token"),
    *("/api/user", "/api/config", "/api/v2/config", "/api.json", "/api/v1/workspaces", "/zen/v1/models"),
    *("/zen/v1/chat/completions", "/zen/v1/messages", "/zen/v1/responses", "/zen/v1/models/x:generateContent"),
    *("/inference/x", "/login", "/device", "/account", "/console", "/assets/x", "/.well-known/opencode", "/", "*"),
]
EXAMPLES = 40
"""Requests to each route."""
STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?= |\r\n)")
NOT_IMPLEMENTED = (501, 505)
"""RFC 9110: the right answers to an unknown method, transfer coding or version."""


@dataclass(frozen=True)
class Message:
    """One request as bytes."""

    method: bytes
    target: bytes
    version: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    line_end: bytes

    def is_whole(self) -> bool:
        """Tell whether the server sees the end of the request; else it may wait for the rest."""
        lengths = [int(value) for name, value in self.fields if name == b"Content-Length" and value.isdigit()]
        return self.line_end != b"\r" and all(length <= len(self.body) for length in lengths)

    def encode(self) -> bytes:
        lines = [
            b" ".join((self.method, self.target, self.version)),
            *(name + b": " + value for name, value in self.fields),
        ]
        return self.line_end.join([*lines, b"", b""]) + self.body


JSON_BODIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'"\\ud800"',
    b'{"sessionID": "ses_x", "secret": "x", "data": [{"type": "part", "data": 1}]}',
    b'{"sessionID": ' + b"9" * 5_000 + b"}",
    b'{"a": ' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    b"[" * 100_000,
    b'{"sessionID": "' + b"x" * 2_048 + b'"}',
    b'{"sessionID": "\xff\xfe"}',
    b'{"sessionID": 1e999, "secret": NaN}',
    b'{"sessionID": "a", "sessionID": {"a": 1}}',
    b"\xef\xbb\xbf{}",
    b"grant_type=refresh_token&refresh_token=%ff&refresh_token=x",
    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n",
]
GZIPPED = gzip.compress(b"{}", mtime=0)
PACKED = [
    (b"gzip", GZIPPED),
    (b"gzip", b"{}"),
    (b"gzip, gzip", GZIPPED),
    (b"deflate", zlib.compress(b"{}")),
    *((encoding, b"{}") for encoding in (b"br", b"identity", b"\xff")),
    (b"zstd", b""),
]
METHODS = st.sampled_from(
    [*([b"GET", b"POST", b"DELETE"] * 3), b"PUT", b"HEAD", b"OPTIONS", b"PATCH", b"get", b"X@Y", b""]
)
VERSIONS = st.sampled_from([*([b"HTTP/1.1"] * 8), b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"http/1.1", b""])
SUFFIXES = st.one_of(
    st.sampled_from([b""] * 3),
    st.sampled_from([b"%", b"%00", b"%zz", b"/..%2f..", b"//x", b"?%ff=\xff", b"#x", b"\x00", b" x", b"/" * 9_000]),
    st.binary(max_size=12),
)
PREFIXES = st.sampled_from(
    [*([b""] * 8), b"http://localhost", b"https://evil.example:99", b"/", b"//evil.example", b"x"]
)
TYPES = [
    *(b"application/json", b"", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data"),
    *(b"multipart/form-data; boundary=x", b"application/json; charset=utf-16", b"\xff\xfe", b"a/b, c/d"),
]
OTHER_FIELDS = st.one_of(
    st.tuples(st.just(b"Content-Type"), st.sampled_from(TYPES)),
    st.sampled_from(
        [
            (b"Authorization", b"Bearer " + b"x" * 9_000),
            (b"Authorization", b"Bearer \xff"),
            (b"Authorization", b"Basic eA=="),
            (b"Cookie", b"opencode_session=\xff; opencode_browser=;;=x"),
            (b"Expect", b"100-continue"),
            (b"Expect", b"x"),
            (b"X-Forwarded-For", b"\xff, 1.2.3.4"),
            (b"X-Forwarded-Host", b"evil.example"),
            (b"X-Opencode-Origin", b"x"),
            (b"Host", b"evil.example"),
            (b"Host", b""),
            (b"Origin", b"null"),
            (b"Range", b"bytes=0-0,5-1"),
            (b"If-None-Match", b'W/"x'),
            (b"If-Modified-Since", b"x"),
            (b"Accept", b"*;q=x, \xff"),
            (b"Accept-Language", b"x" * 9_000),
            (b"Upgrade", b"websocket"),
            (b"Upgrade", b"h2c"),
            (b"x-org-id", b"\xff"),
            (b"traceparent", b"00-x-x-01"),
            (b"x" * 9_000, b"x"),
            (b"", b"x"),
            (b"a b", b"x"),
            (b" folded", b"x"),
        ]
    ),
    st.tuples(st.binary(max_size=6), st.binary(max_size=20)),
)


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"


FRAMES = (
    lambda body: ([(b"Content-Length", b"%d" % len(body))], body),
    lambda body: ([(b"Content-Length", b"%d" % len(body))], body),
    lambda body: ([(b"Transfer-Encoding", b"chunked")], chunked(body)),
    lambda body: ([(b"Content-Length", b"%d" % len(body)), (b"Transfer-Encoding", b"chunked")], chunked(body)),
    lambda body: ([(b"Transfer-Encoding", b"chunked, chunked")], chunked(body)),
    lambda body: ([(b"Transfer-Encoding", b"xchunked")], chunked(body)),
    lambda body: ([(b"Transfer-Encoding", b"chunked")], b"zz\r\n" + body),
    lambda body: ([(b"Content-Length", b"%d" % len(body)), (b"Content-Length", b"0")], body),
    lambda body: ([(b"Content-Length", b"+%d" % len(body))], body),
    lambda body: ([(b"Content-Length", b"-1")], body),
    lambda body: ([(b"Content-Length", b"%d" % (len(body) + 5))], body),
    lambda body: ([(b"Content-Length", b"0")], body),
    lambda body: ([], b""),
)
"""How the end of a body is told, rightly and wrongly."""


@st.composite
def messages(draw: st.DrawFn, route: str) -> Message:
    """Return requests to a route, of which about a third are valid HTTP."""
    encoding, body = draw(
        st.one_of(st.sampled_from(JSON_BODIES).map(lambda body: (b"", body)), st.sampled_from(PACKED))
    )
    framing, body = draw(st.sampled_from(FRAMES))(body)
    fields = [(b"Host", b"localhost"), (b"Connection", b"close"), *framing]
    if encoding:
        fields.append((b"Content-Encoding", encoding))
    if draw(st.booleans()):
        fields.append((b"Content-Type", b"application/json"))
    fields += draw(st.lists(OTHER_FIELDS, max_size=2))
    target = draw(PREFIXES) + route.encode() + draw(SUFFIXES)
    line_end = draw(st.sampled_from([*([b"\r\n"] * 8), b"\n", b"\r"]))
    return Message(draw(METHODS), target, draw(VERSIONS), fields, body, line_end)


SILENCE = 0.3
"""Seconds after which the server is taken to wait for the rest of a request that is cut short."""


def send(address: tuple[str, int], message: Message) -> bytes:
    """Send a request, and return all bytes of the answer. Raises TimeoutError when a whole request gets none."""
    answer = b""
    with socket.create_connection(address, timeout=PATIENCE if message.is_whole() else SILENCE) as connection:
        try:
            connection.sendall(message.encode())
            while received := connection.recv(65_536):
                answer += received
                if answer.startswith(b"HTTP/1.1 101"):
                    break
        except TimeoutError:
            if message.is_whole():
                raise
        except ConnectionError:
            pass  # The server may close before it has read a body that it refuses.
    return answer


@pytest.mark.parametrize("route", ROUTES)
def test_no_bytes_make_it_fail_or_answer_somebody_else(stack: Any, route: str) -> None:
    parts = urlsplit(stack.url)
    assert parts.hostname is not None
    assert parts.port is not None
    address = (parts.hostname, parts.port)
    with httpx.Client(base_url=stack.url, timeout=PATIENCE) as canary:
        document = canary.get("/.well-known/opencode").json()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(messages(route))
        def try_out(message: Message) -> None:
            answer = send(address, message)
            statuses = [int(status) for status in STATUS.findall(answer)]
            assert all(status < 500 or status in NOT_IMPLEMENTED for status in statuses), (message, answer[:1_000])
            final = [status for status in statuses if status >= 200 or status == 101]
            assert len(final) == 1 if message.is_whole() else len(final) <= 1, (message, answer[:1_000])
            assert canary.get("/.well-known/opencode").json() == document, message
            assert canary.post("/api/share/none/sync", json={"secret": "x", "data": []}).status_code == 404, message

        try_out()
