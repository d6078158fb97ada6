"""A viewer whose socket is cut again and again, at random, ends with the same state and receives nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

import pytest

from opencode_cloud_client import Backoff, Follower, Json, NewItem, Share, follow

CUTS = 100
PUBLISHERS = 2
FRAME_LIMIT = 32 * 1024


class Stack(Protocol):
    """The running local stage (tests/conftest.py)."""

    @property
    def url(self) -> str: ...


class BadNetwork:
    """A TCP relay to a server that cuts sockets of the live protocol after a random time or a random byte.

    Other connections pass untouched. The cut is a reset: no closing handshake, half a frame may have come through.
    """

    def __init__(self, url: str, cuts: int, seed: int) -> None:
        self._target = urlsplit(url)
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.cuts_left = cuts
        self.live_bytes = 0
        """Bytes sent to clients on sockets of the live protocol, handshakes included."""

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> BadNetwork:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        server, to_server = await asyncio.open_connection(self._target.hostname, self._target.port)
        try:
            head = await client.readuntil(b"\r\n\r\n")
            to_server.write(head)
            upstream = asyncio.create_task(_copy(client, to_server))
            await self._back(server, to_client, live=head.startswith(b"GET /live "))
            upstream.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # either side hung up; so does the other
        finally:
            to_server.transport.abort()
            to_client.transport.abort()

    async def _back(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, *, live: bool) -> None:
        """Copy answers until the end, or until the cut that fate has decided on."""
        cutting = live and self.cuts_left > 0
        allowance = self._random.choice([10**9, self._random.randint(200, 40_000)]) if cutting else 10**9
        try:
            async with asyncio.timeout(self._random.uniform(0.0, 0.4) if cutting else None):
                while data := await server.read(4096):
                    data = data[:allowance]
                    allowance -= len(data)
                    self.live_bytes += len(data) if live else 0
                    to_client.write(data)
                    await to_client.drain()
                    if not allowance:
                        break
        except TimeoutError:
            pass  # the time of the cut
        self.cuts_left -= cutting


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


def batch(chance: random.Random, n: int) -> list[NewItem]:
    """Some parts that overwrite each other's versions; now and then one too large for a frame."""
    sizes = [chance.choice([50, 500, 3000]) for _ in range(chance.randint(1, 8))]
    if n % 15 == 0:
        sizes.append(60_000)
    return [
        {
            "type": "part",
            "data": {
                "id": f"prt_{chance.randint(1, 60)}",
                "messageID": "msg_1",
                "type": "text",
                "text": f"{n} {'x' * size}",
            },
        }
        for size in sizes
    ]


async def publish(share: Share, seed: int, until: asyncio.Event) -> int:
    """Publish batches until told to stop; the last number."""
    chance, n, seq = random.Random(seed), 0, 0
    async with share.publisher() as publisher:
        while not until.is_set():
            n += 1
            seq = await (share.sync if n % 2 else publisher.sync)(batch(chance, n))
            await asyncio.sleep(chance.uniform(0, 0.1))
    return seq


def content(follower: Follower) -> dict[str, tuple[int, int, Json]]:
    return {key: (item.at, item.seq, item.data) for key, item in follower.state.items.items()}


@pytest.mark.timeout(240)
async def test_hundred_cuts_change_nothing(stack: Stack) -> None:
    session_id = f"ses_{secrets.token_hex(6)}AAAAbbbbCCCC12"
    done = asyncio.Event()
    async with (
        await Share.create(stack.url, session_id) as share,
        BadNetwork(stack.url, CUTS, seed=7) as network,
        share.follow() as steady,
        follow(network.url, share.id, backoff=Backoff(first=0.05, ceiling=0.5)) as unlucky,
    ):
        await steady.until_live()
        publishing = [asyncio.create_task(publish(share, seed, done)) for seed in range(PUBLISHERS)]
        watching = asyncio.create_task(steady.until(10**12))
        while network.cuts_left:
            await unlucky.update()
        done.set()
        last = max(await asyncio.gather(*publishing))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.gather(steady.until(last), unlucky.until(last))
        async with share.follow() as late:
            await late.until(last)
        await share.delete()

    assert content(unlucky) == content(steady) == content(late)
    assert unlucky.counters.connections > CUTS
    assert unlucky.counters.duplicate_items == 0, unlucky.counters
    assert unlucky.counters.largest_frame <= FRAME_LIMIT
    # On the wire too: nothing but the frame that a cut broke comes again.
    assert network.live_bytes <= steady.counters.socket_bytes_received + unlucky.counters.connections * (
        FRAME_LIMIT + 1024
    )
