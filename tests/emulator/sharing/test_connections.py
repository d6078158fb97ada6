"""Posting to sockets: the emulator's own ``@connections``, and the stand-in of these tests, which must behave alike."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from opencode_cloud.kit.sockets import MESSAGE_BYTES, Sockets
from tests.emulator.sharing.gateway import Gateway
from tests.ministack import Emulator
from tests.waiting import PATIENCE

ECHO = """
def handler(event, _context):
    return {"statusCode": 200, "body": event["requestContext"]["connectionId"]}
"""


@dataclass
class Open:
    """An open socket: its connection id, a reader of frames, and a check whether it is closed."""

    connection: str
    take: Callable[[int], list[str]]
    ended: Callable[[], bool]
    leave: Callable[[], None]


@dataclass
class Api:
    """A WebSocket API: the URL for posts of functions, and a function that connects a viewer."""

    endpoint: str
    open: Callable[[], AbstractContextManager[Open]]


@pytest.fixture(scope="module")
def real(emulator: Emulator, library: None) -> Api:
    """Create an API of the emulator, with a function that answers each message with the connection's id."""
    function = emulator.create_function("echo", ECHO)
    client = emulator.client("apigatewayv2")
    api = client.create_api(Name="echo", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")[
        "ApiId"
    ]
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    target = client.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=uri)["IntegrationId"]
    client.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{target}")
    client.create_stage(ApiId=api, StageName="v1", AutoDeploy=True)
    endpoint = f"{emulator.url}/_aws/execute-api/{api}/v1"

    @contextmanager
    def opened() -> Iterator[Open]:
        with connect(endpoint.replace("http", "ws", 1)) as socket:
            socket.send("{}")
            connection = str(socket.recv(timeout=60))

            def ended() -> bool:
                try:
                    socket.recv(timeout=PATIENCE)
                except ConnectionClosed:
                    return True
                return False

            yield Open(
                connection,
                lambda count: [str(socket.recv(timeout=PATIENCE)) for _ in range(count)],
                ended,
                socket.close,
            )

    return Api(endpoint, opened)


@pytest.fixture(scope="module")
def stand_in(gateway: Gateway, library: None) -> Api:
    @contextmanager
    def opened() -> Iterator[Open]:
        socket = gateway.connect()
        yield Open(
            socket.id,
            lambda count: [frame.decode() for frame in socket.sent[:count]],
            lambda: not socket.open,
            socket.leave,
        )

    return Api(gateway.endpoint, opened)


@pytest.fixture(params=["real", "stand_in"])
def api(request: pytest.FixtureRequest) -> Api:
    return request.getfixturevalue(request.param)


def test_frames_reach_each_connection_in_order(api: Api) -> None:
    with api.open() as first, api.open() as second:
        frames = [f"frame {n}".encode() for n in range(20)]
        assert Sockets(api.endpoint).post([(first.connection, frames), (second.connection, [b"one"])]) == ["sent"] * 2
        assert first.take(20) == [frame.decode() for frame in frames]
        assert second.take(1) == ["one"]


def test_a_connection_that_is_ended_from_our_side_is_gone(api: Api) -> None:
    sockets = Sockets(api.endpoint)
    with api.open() as socket:
        assert sockets.is_open(socket.connection)
        assert sockets.close([socket.connection]) == ["sent"]
        assert socket.ended()
        assert not sockets.is_open(socket.connection)
        assert sockets.post([(socket.connection, [b"x"])]) == ["gone"]


def test_a_connection_that_never_was_is_gone(api: Api) -> None:
    sockets = Sockets(api.endpoint)
    assert sockets.post([("never", [b"x"])]) == ["gone"]
    assert sockets.close(["never"]) == ["gone"]


def test_a_message_over_the_quota_fails_and_leaves_the_connection(api: Api) -> None:
    sockets = Sockets(api.endpoint)
    with api.open() as socket:
        outcomes = sockets.post([(socket.connection, [b"x" * (MESSAGE_BYTES + 1), b"not sent either"])])
        assert outcomes == ["failed"]
        assert sockets.post([(socket.connection, [b"x" * MESSAGE_BYTES])]) == ["sent"]
        assert [len(frame) for frame in socket.take(1)] == [MESSAGE_BYTES]


def test_a_call_that_is_not_signed_for_the_gateway_is_refused(gateway: Gateway, library: None) -> None:
    socket = gateway.connect()
    call = urllib.request.Request(f"{gateway.endpoint}/@connections/{socket.id}", data=b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(call, timeout=PATIENCE)
    assert refused.value.code == 403
    assert socket.sent == []


def test_a_gateway_that_cannot_be_reached_fails_each_post_without_an_error(library: None) -> None:
    assert Sockets("http://127.0.0.1:9/v1").post([("one", [b"x"]), ("two", [b"x"])]) == ["failed", "failed"]
