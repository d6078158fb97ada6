"""Fixtures for tests of the local stage's parts: an emulator without a deployment, and a client."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import aiohttp
import pytest

from tests.ministack import Emulator


@pytest.fixture
def durability() -> Literal["disk", "process"]:
    return "disk"


@pytest.fixture
def emulator(tmp_path: Path, durability: Literal["disk", "process"]) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path, durability)
    emulator.start()
    yield emulator
    emulator.program.stop()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client
