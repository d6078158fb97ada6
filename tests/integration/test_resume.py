"""A viewer whose socket is cut repeatedly ends with the same state, and gets only interrupted frames twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

import pytest

from opencode_cloud_client import Backoff, Follower, Json, NewItem, Share, follow

CUTS = 100
PUBLISHERS = 2
FRAME_LIMIT = 32 * 1024
HANDSHAKE = 1024
"""Upper estimate of the bytes of a handshake's answer and a `ready` frame."""
QUICK = Backoff(first=0.05, ceiling=0.5)
NEVER = (10.0**9, 10**9)


class Stack(Protocol):
    """The running local stage (tests/conftest.py)."""

    @property
    def url(self) -> str: ...


class BadNetwork:
    """A TCP relay to a server that cuts sockets of the live protocol; other connections pass untouched.

    A cut is a reset: no closing handshake, and half a frame may have come through.
    """

    def __init__(self, url: str, next_cut: Callable[[], tuple[float, int]]) -> None:
        """`next_cut` returns, for each open socket, the seconds and the bytes after which it is cut."""
        self._target = urlsplit(url)
        self._next_cut = next_cut
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._passable = asyncio.Event()
        self._passable.set()
        self.cuts = 0
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
        self.up()
        self._abort(self._open)

    def down(self) -> None:
        """Cut everything; new connections wait."""
        self._passable.clear()
        self._abort(self._open)

    def up(self) -> None:
        """Let connections through again."""
        self._passable.set()

    def _abort(self, writers: set[asyncio.StreamWriter]) -> None:
        for writer in writers:
            writer.transport.abort()

    async def _relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        await self._passable.wait()
        server, to_server = await asyncio.open_connection(self._target.hostname, self._target.port)
        both = {to_client, to_server}
        self._open |= both
        try:
            head = await client.readuntil(b"\r\n\r\n")
            to_server.write(head)
            upstream = asyncio.create_task(_copy(client, to_server))
            await self._copy_back(server, to_client, live=head.startswith(b"GET /live "))
            upstream.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # either side hung up; so does the other
        finally:
            self._open -= both
            self._abort(both)

    async def _copy_back(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, *, live: bool) -> None:
        """Copy answers until the end, or until the planned cut."""
        opening = await server.readuntil(b"\r\n\r\n") if live else b""
        to_client.write(opening)
        self.live_bytes += len(opening)
        seconds, allowance = self._next_cut() if live else NEVER
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while allowance and (data := (await server.read(4096))[:allowance]):
                    allowance -= len(data)
                    self.live_bytes += len(data) if live else 0
                    to_client.write(data)
                    await to_client.drain()
        self.cuts += live


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


def new_session_id() -> str:
    return f"ses_{secrets.token_hex(6)}AAAAbbbbCCCC12"


def batch(chance: random.Random, n: int) -> list[NewItem]:
    """Return parts that overwrite each other's versions; some are too large for a frame."""
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
    """Publish batches, over HTTP and the socket in turn, until told to stop; return the last number."""
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
@pytest.mark.slow
async def test_hundred_cuts_while_publishers_run(stack: Stack) -> None:
    chance, done = random.Random(7), asyncio.Event()

    def next_cut() -> tuple[float, int]:
        if network.cuts >= CUTS:
            return NEVER
        return chance.uniform(0, 0.4), chance.choice([10**9, chance.randint(1, 30_000)])

    async with (
        await Share.create(stack.url, new_session_id()) as share,
        BadNetwork(stack.url, next_cut) as network,
        share.follow() as steady,
        follow(network.url, share.id, backoff=QUICK) as unlucky,
    ):
        await steady.until_live()
        publishing = [asyncio.create_task(publish(share, seed, done)) for seed in range(PUBLISHERS)]
        watching = asyncio.create_task(steady.until(10**12))
        while network.cuts < CUTS:
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
    counters = unlucky.counters
    assert counters.connections > 0.9 * CUTS  # a cut can come before the client has read the handshake
    assert counters.largest_frame <= FRAME_LIMIT
    # A commit during a resume is both in the answer and pushed, so that it cannot be missed. No other item
    # comes twice: one unnecessary frame per resume would add up to 100 frames here.
    assert counters.duplicate_items <= 0.05 * counters.items_received, counters


@pytest.mark.timeout(240)
async def test_nothing_comes_twice(stack: Stack) -> None:
    """Commits happen while the viewer is away, and the answer to its resume is cut at a random byte."""
    chance, n, last = random.Random(8), 0, 0
    cuts: list[tuple[float, int]] = []
    async with (
        await Share.create(stack.url, new_session_id()) as share,
        BadNetwork(stack.url, lambda: cuts.pop() if cuts else NEVER) as network,
        follow(network.url, share.id, backoff=QUICK) as unlucky,
    ):
        await unlucky.until_live()
        for _ in range(CUTS // 4):
            network.down()
            for _ in range(3):
                n += 1
                last = await share.sync(batch(chance, n))
            cuts = [(10.0, chance.randint(1, 40_000))]
            network.up()
            await unlucky.until(last)
        received = unlucky.counters.socket_bytes_received
        async with share.follow() as late:
            await late.until(last)
        await share.delete()

    assert content(unlucky) == content(late)
    assert unlucky.counters.duplicate_items == 0, unlucky.counters
    assert unlucky.counters.connections > CUTS // 4
    # On the wire too: each connection has at most one broken frame besides the complete frames.
    assert network.live_bytes <= received + unlucky.counters.connections * (FRAME_LIMIT + HANDSHAKE)
