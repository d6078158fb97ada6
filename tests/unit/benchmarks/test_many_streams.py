"""The provider of many streams waits for all of them, and the clients count each piece and each incomplete stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.many_streams import clients
from benchmarks.many_streams.pieces import END, Plan, Stamps, ending, piece
from benchmarks.many_streams.provider import Connection, Provider

SMALL = Plan(streams=8, pieces=5, pause=0.001, spread=0.01)


@asynccontextmanager
async def serving(plan: Plan) -> AsyncIterator[str]:
    provider = Provider(plan)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(provider), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions"


async def test_every_stream_ends_with_all_its_pieces() -> None:
    async with serving(SMALL) as url:
        arrived = await clients.run(url, {}, SMALL)
    assert (arrived.ended, arrived.failed) == (8, [])
    assert len(arrived.late) == 8 * 5
    assert min(arrived.late) > 0


async def test_no_stream_begins_before_all_are_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "LONGEST_SECONDS", 0.2)
    fewer = Plan(streams=7, pieces=5, pause=0.001, spread=0.01)
    async with serving(SMALL) as url:
        arrived = await clients.run(url, {}, fewer)
    assert (arrived.ended, len(arrived.late)) == (0, 0)
    assert any("not ended" in failure for failure in arrived.failed)


async def test_a_stream_with_too_few_pieces_has_failed() -> None:
    async with serving(Plan(streams=8, pieces=4, pause=0.001, spread=0.01)) as url:
        arrived = await clients.run(url, {}, SMALL)
    assert arrived.ended == 0
    assert len(arrived.failed) == 8
    assert arrived.failed[0].startswith("4 pieces; HTTP/1.1 200 OK")


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_stamps_are_found_however_the_bytes_are_cut(cuts: list[int]) -> None:
    sent = [time.monotonic_ns() + number for number in range(5)]
    text = b"".join(map(piece, sent)) + ending(5)
    stamps, found, start = Stamps(), list[int](), 0
    for cut in [*cuts, len(text)]:
        found += stamps.feed(text[start : start + cut])
        start += cut
    assert found == sent
    assert text.endswith(END)
