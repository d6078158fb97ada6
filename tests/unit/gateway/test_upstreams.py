"""Calls to upstreams over real HTTP: private addresses, redirects, and headers of answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from opencode_cloud.catalogue.models import Format, Route
from opencode_cloud.contracts.ids import CredentialId
from opencode_cloud.gateway.models import AttemptFailed, Failure, UpstreamTarget
from opencode_cloud.gateway.store.upstreams import LONGEST_RETRY_AFTER, Upstreams
from tests.unit.gateway.calling import COMPLETION, Connection, Rig, Scripted
from tests.unit.gateway.catalogues import catalogue, model, upstream

ODD_HEADERS = {
    "Set-Cookie": "opencode_session=stolen",
    "Location": "https://evil.example",
    "Access-Control-Allow-Credentials": "true",
    "Clear-Site-Data": '"cookies"',
    "X-Request-ID": "of-the-upstream",
    "X-Opencode-Upstream": "another",
    "Server": "evil",
}


@dataclass
class Server:
    """A server on the loopback interface that records the requests that reach it."""

    port: int = 0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    seen: list[str] = field(default_factory=list[str])

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.seen.append(request.path)
        return web.Response(status=self.status, headers=self.headers, body=COMPLETION, content_type="application/json")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


def target(server: Server, host: str = "127.0.0.1", *, own: bool = True) -> UpstreamTarget:
    """Return a target at an address that a workspace configured, or the catalogue's if not ``own``."""
    return UpstreamTarget(
        id="a",
        upstream=upstream(),
        model="m",
        format=Format.CHAT,
        base_url=f"http://{host}:{server.port}/v1",
        secret="s",
        credential_id=CredentialId("cred_1") if own else None,
    )


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_an_address_that_a_workspace_configured_is_called_only_where_it_is_public(
    server: Server, host: str
) -> None:
    upstreams = Upstreams(private=False)
    with pytest.raises(AttemptFailed) as failed:
        await upstreams.open(target(server, host), b"{}", {}, stream=False)
    await upstreams.close()
    assert failed.value.failure is Failure.UNREACHABLE
    assert server.seen == []


@pytest.mark.parametrize(("own", "private"), [(False, False), (True, True)])
async def test_the_catalogues_addresses_and_those_of_a_private_deployment_may_be_private(
    server: Server, own: bool, private: bool
) -> None:
    upstreams = Upstreams(private=private)
    answer = await upstreams.open(target(server, own=own), b"{}", {}, stream=False)
    assert await answer.body() == COMPLETION
    answer.close(used_up=True)
    await upstreams.close()
    assert server.seen == ["/v1/chat/completions"]


async def test_a_redirect_of_an_upstream_is_not_followed(server: Server) -> None:
    server.status, server.headers = 307, {"Location": f"http://127.0.0.1:{server.port}/elsewhere"}
    upstreams = Upstreams(private=True)
    answer = await upstreams.open(target(server), b"{}", {}, stream=False)
    assert answer.status == 307
    answer.close(used_up=False)
    await upstreams.close()
    assert server.seen == ["/v1/chat/completions"]


class OverHttp(Rig):
    """Calls whose upstream is a real server."""

    def __init__(self, server: Server) -> None:
        super().__init__(catalogue(model(Route(upstream="a", model="m")), a=upstream()), lambda _: Scripted())
        self.server, self.upstreams = server, Upstreams(private=True)

    async def _open(self, target: UpstreamTarget) -> Any:
        there = f"http://127.0.0.1:{self.server.port}/v1"
        return await self.upstreams.open(replace(target, base_url=there), b"{}", {}, stream=False)


async def test_no_header_of_an_upstreams_answer_reaches_the_client(server: Server) -> None:
    server.headers = ODD_HEADERS
    rig = OverHttp(server)
    sink: Connection = await rig.call(stream=False)
    await rig.upstreams.close()
    assert sink.body == COMPLETION
    assert dict(sink.headers) == {"content-type": "application/json", "x-opencode-upstream": "a"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After-Ms": "250", "Retry-After": "7"}, 0.25),
        ({"Retry-After-Ms": "soon", "Retry-After": "7"}, 7),
        ({"Retry-After": "99999999999999"}, LONGEST_RETRY_AFTER),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_RETRY_AFTER),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0),
        *[({"Retry-After": odd}, None) for odd in ("", "inf", "nan", "-1", "1e9", "0x5", "\u0667", "9" * 400)],
    ],
)
async def test_a_wait_is_read_leniently_and_bounded(
    server: Server, headers: dict[str, str], seconds: float | None
) -> None:
    server.headers = headers
    upstreams = Upstreams(private=True)
    answer = await upstreams.open(target(server), b"{}", {}, stream=False)
    assert answer.retry_after == seconds
    answer.close(used_up=False)
    await upstreams.close()
