"""Hubs: processes that hold sockets, beside functions and other hubs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.sharing.hubs import HubProcess, frames_until, part, texts
from tests.emulator.sharing.plane import Plane


@pytest.fixture
def hub(plane: Plane, tmp_path: Path) -> Iterator[HubProcess]:
    process = HubProcess(plane, tmp_path)
    yield process.start()
    process.stop()


async def test_a_publication_reaches_a_viewer(hub: HubProcess) -> None:
    share = (await hub.asked("POST", "/api/share", {"sessionID": "ses_1"})).body
    async with hub.following(share["id"]) as viewer:
        assert await hub.publish(share["id"], share["secret"], part("1", "hello")) == 1
        assert texts(await frames_until(viewer, 1)) == ["hello"]
