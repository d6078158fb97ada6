from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from fake_server import FakeServer


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Return a port without a listener, reserved for the test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server
