"""Access to a streaming application, and its limit of concurrent requests."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from opencode_cloud.kit.asgi_middleware import (
    ORIGIN_HEADER,
    VIEWER_HEADER,
    EdgeOnly,
    LoadShedding,
    Message,
    Receive,
    Scope,
    Send,
)

HEALTH = "/zen/v1/health"


class Served:
    """An application that answers 200 when the test allows it."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await self.may_answer.wait()
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})


async def ask(application: Any, path: str = "/zen/v1/messages", headers: Sequence[tuple[bytes, bytes]] = ()) -> Any:
    """Return status, headers and body of the answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await application({"type": "http", "path": path, "headers": list(headers)}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent)


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def edge(served: Served) -> EdgeOnly:
    return EdgeOnly(served, lambda: "the secret", open_paths={HEALTH})


async def test_what_came_by_the_cdn_is_served(edge: EdgeOnly, served: Served) -> None:
    assert (await ask(edge, headers=[(ORIGIN_HEADER, b"the secret")]))[0] == 200
    assert len(served.scopes) == 1


async def test_where_a_request_came_from_is_what_the_cdn_saw(edge: EdgeOnly, served: Served) -> None:
    made_up = [(b"x-forwarded-for", b"6.6.6.6"), (b"accept", b"*/*")]
    seen = [(VIEWER_HEADER, b"192.0.2.1"), (ORIGIN_HEADER, b"the secret")]
    assert (await ask(edge, headers=[*made_up, *seen]))[0] == 200
    assert served.scopes[0]["headers"] == [(b"accept", b"*/*"), (b"x-forwarded-for", b"192.0.2.1")]


async def test_without_word_of_the_cdn_it_came_from_nowhere(edge: EdgeOnly, served: Served) -> None:
    await ask(edge, headers=[(b"x-forwarded-for", b"6.6.6.6"), (ORIGIN_HEADER, b"the secret")])
    assert served.scopes[0]["headers"] == []


@pytest.mark.parametrize("headers", [[], [(ORIGIN_HEADER, b"")], [(ORIGIN_HEADER, b"the secre")], [(b"x", b"y")]])
async def test_who_goes_around_it_is_refused(
    edge: EdgeOnly, served: Served, headers: list[tuple[bytes, bytes]]
) -> None:
    status, given, body = await ask(edge, headers=headers)
    assert status == 403
    assert json.loads(body)["error"]["code"] == "forbidden"
    assert given[b"content-length"] == str(len(body)).encode()
    assert b"the secret" not in body
    assert not served.scopes


async def test_a_secret_that_is_empty_lets_nobody_in(served: Served) -> None:
    edge = EdgeOnly(served, lambda: "", open_paths={HEALTH})
    assert (await ask(edge, headers=[(ORIGIN_HEADER, b"")]))[0] == 403


async def test_whoever_looks_after_our_health_needs_no_secret(edge: EdgeOnly) -> None:
    assert (await ask(edge, HEALTH))[0] == 200
    assert (await ask(edge, HEALTH + "/more"))[0] == 403


async def test_the_secret_is_asked_for_once_as_the_process_starts(served: Served) -> None:
    asked: list[None] = []

    def secret() -> str:
        asked.append(None)
        return "the secret"

    async def nothing(*_: Any) -> Message:
        return {}

    edge = EdgeOnly(served, secret, open_paths=())
    await edge({"type": "lifespan"}, nothing, nothing)  # pyright: ignore[reportArgumentType]
    assert len(asked) == 1
    for _ in range(3):
        await ask(edge, headers=[(ORIGIN_HEADER, b"the secret")])
    assert len(asked) == 1


async def test_start_and_end_of_the_process_reach_the_application(served: Served) -> None:
    async def nothing(*_: Any) -> Message:
        return {}

    application = LoadShedding(EdgeOnly(served, lambda: "s", open_paths=()), 1, open_paths=())
    await application({"type": "lifespan"}, nothing, nothing)  # pyright: ignore[reportArgumentType]
    assert [scope["type"] for scope in served.scopes] == ["lifespan"]


async def test_beyond_the_limit_the_answer_is_503_at_once_and_says_when_to_come_again(served: Served) -> None:
    application = LoadShedding(served, 2, open_paths={HEALTH})
    served.may_answer.clear()
    under_way = [asyncio.create_task(ask(application)) for _ in range(2)]
    await asyncio.sleep(0)
    status, headers, body = await ask(application)
    assert (status, headers[b"retry-after"], json.loads(body)["error"]["code"]) == (503, b"1", "overloaded")
    served.may_answer.set()
    assert [status for status, _, _ in await asyncio.gather(*under_way)] == [200, 200]
    assert (await ask(application))[0] == 200


async def test_a_busy_process_is_not_an_unhealthy_one(served: Served) -> None:
    application = LoadShedding(served, 1, open_paths={HEALTH})
    served.may_answer.clear()
    under_way = asyncio.create_task(ask(application))
    await asyncio.sleep(0)
    served.may_answer.set()
    assert (await ask(application, HEALTH))[0] == 200
    await under_way


async def test_what_fails_or_is_cancelled_frees_its_place() -> None:
    async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ConnectionError

    application = LoadShedding(fail, 1, open_paths=())
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await ask(application)
    assert application.serving == 0


async def test_no_limit_is_no_limit(served: Served) -> None:
    application = LoadShedding(served, 0, open_paths=())
    served.may_answer.clear()
    under_way = [asyncio.create_task(ask(application)) for _ in range(50)]
    await asyncio.sleep(0)
    served.may_answer.set()
    assert {status for status, _, _ in await asyncio.gather(*under_way)} == {200}
