"""Posts to sockets: all viewers in parallel, each viewer's frames in order, and failures that stop no other."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from opencode_cloud.kit import sockets as module
from opencode_cloud.kit.aws_api.connections import Connections
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from opencode_cloud.kit.sockets import Sockets
from tests.unit.kit.http_server import HttpServer, Received, http_server
from tests.waiting import PATIENCE


class Api:
    """An ``@connections`` API that answers with the scripted statuses of each connection, and then with 200."""

    def __init__(self) -> None:
        self.statuses: dict[str, deque[int]] = defaultdict(deque)
        self.frames: dict[str, list[bytes]] = defaultdict(list)
        self.held: dict[str, threading.Event] = {}
        self.closing = False

    def answer(self, request: Received) -> bytes | None:
        method, path, _ = request.line.split(" ")
        connection = unquote(path.rpartition("/")[2])
        if connection in self.held:
            self.held[connection].wait(PATIENCE)
        status = self.statuses[connection].popleft() if self.statuses[connection] else 200
        if status == 0:
            return None
        if status == 200 and method == "POST":
            self.frames[connection].append(request.body)
        end = b"connection: close\r\n" if self.closing else b""
        return b"HTTP/1.1 %d X\r\n%bcontent-length: 0\r\n\r\n" % (status, end)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def server(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(module, "_BACKOFF", replace(module._BACKOFF, first=0.001))
    credential_source().renew()
    with http_server(api.answer) as server:
        yield server


def test_many_viewers_share_a_few_connections_that_are_kept(api: Api, server: HttpServer) -> None:
    sockets = Sockets(f"{server.url}/v1")
    names = [f"viewer {number}" for number in range(200)]
    for frame in (b"1", b"2"):
        assert sockets.post([(name, [frame]) for name in names]) == ["sent"] * 200
    assert api.frames == {name: [b"1", b"2"] for name in names}
    assert server.connections <= 32
    assert "POST /v1/@connections/viewer%200 HTTP/1.1" in [request.line for request in server.received]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=st.lists(st.lists(st.binary(min_size=1, max_size=5), max_size=4), max_size=40),
    script=st.dictionaries(
        st.integers(0, 39), st.lists(st.sampled_from([200, 429, 500, 410, 403]), max_size=3), max_size=6
    ),
    closing=st.booleans(),
)
def test_each_viewer_gets_its_frames_in_order_up_to_its_failure(
    server: HttpServer, api: Api, frames: list[list[bytes]], script: dict[int, list[int]], *, closing: bool
) -> None:
    api.frames.clear()
    api.statuses.clear()
    api.statuses |= {str(number): deque(statuses) for number, statuses in script.items()}
    api.closing = closing
    outcomes = Sockets(server.url).post([(str(number), each) for number, each in enumerate(frames)])
    for number, (each, outcome) in enumerate(zip(frames, outcomes, strict=True)):
        got = api.frames[str(number)]
        assert got == each[: len(got)]
        assert (outcome == "sent") == (len(got) == len(each))


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ([429, 503], "sent"),
        ([503, 503, 503], "failed"),
        ([410], "gone"),
        ([403], "failed"),
        ([413], "failed"),
        ([0, 0], "sent"),
        ([0, 0, 0], "failed"),
    ],
)
def test_what_passes_is_tried_three_times(api: Api, server: HttpServer, statuses: list[int], outcome: str) -> None:
    api.statuses["a"] = deque(statuses)
    assert Sockets(server.url).post([("a", [b"x"])]) == [outcome]
    assert api.statuses["a"] == deque()


def test_one_viewer_that_is_slow_holds_up_no_other(api: Api, server: HttpServer) -> None:
    api.held["slow"] = threading.Event()
    done = threading.Event()

    def post() -> None:
        sockets.post([("slow", [b"x"]), *((str(number), [b"x"]) for number in range(100))])
        done.set()

    sockets = Sockets(server.url)
    thread = threading.Thread(target=post)
    thread.start()
    deadline = time.monotonic() + 10
    while len(api.frames) < 100 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(api.frames) == 100
    assert not done.is_set()
    api.held["slow"].set()
    thread.join()
    assert api.frames["slow"] == [b"x"]


def test_a_viewer_that_is_never_answered_fails_in_the_end(
    api: Api, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0.1)
    api.held["stuck"] = threading.Event()
    assert Sockets(server.url).post([("stuck", [b"x"]), ("other", [b"x"])]) == ["failed", "sent"]
    api.held["stuck"].set()


def test_an_api_that_is_away_fails_for_all(api: Api, server: HttpServer) -> None:
    with http_server(api.answer) as gone:
        sockets = Sockets(gone.url)
    assert sockets.post([("a", [b"x"]), ("b", [b"x"])]) == ["failed", "failed"]


def test_many_viewers_of_an_api_that_is_away_wait_for_few_attempts(
    api: Api, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[object] = []

    def refuse(connections: Connections) -> None:
        attempts.append(connections)
        raise AwsUnreachable("away")

    monkeypatch.setattr(Connections, "_connect", refuse)
    assert set(Sockets(server.url).post([(str(number), [b"x"]) for number in range(1_000)])) == {"failed"}
    assert len(attempts) <= 32 + 2


def test_posts_go_through_a_proxy(api: Api, server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    assert Sockets("http://gateway.example/v1").post([("a", [b"x"])]) == ["sent"]
    assert server.received[0].line == "POST http://gateway.example/v1/@connections/a HTTP/1.1"


def test_without_frames_nothing_is_sent(server: HttpServer) -> None:
    assert Sockets(server.url).post([("a", [])]) == ["sent"]
    assert Sockets(server.url).post([]) == []
    assert server.received == []
