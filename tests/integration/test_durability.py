"""An acknowledged item survives (invariant I1) when functions or the whole machine are killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from local.stack import LocalStack
from tests.integration.publisher import Publisher, part
from tests.sharing_stage import TEMPLATE
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.stage, pytest.mark.slow]


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Run a separate stack, because these tests kill it."""
    stack = LocalStack(Path(tmp_path_factory.mktemp("mortal")), template=TEMPLATE)
    stack.start()
    yield stack
    stack.stop()


def publish(share: Publisher, writer: str, acknowledged: dict[str, str], stop: threading.Event) -> None:
    """Publish items with distinct names until told to stop; record the acknowledged ones."""
    mine = Publisher(
        httpx.Client(base_url=share.http.base_url, timeout=PATIENCE), share.session_id, share.id, share.secret, ""
    )
    number = 0
    while not stop.is_set():
        name, text = f"{writer}_{number}", os.urandom(200).hex()
        try:
            response = mine.sync(part(name, text))
        except httpx.HTTPError:
            mine.http.close()
            mine.http = httpx.Client(base_url=share.http.base_url, timeout=PATIENCE)
            time.sleep(0.1)
            continue
        if response.status_code == 200:
            acknowledged[f"part/msg_1/prt_{name}"] = text
        number += 1


def assert_nothing_lost(share: Publisher, acknowledged: dict[str, str]) -> None:
    held = {key: item["data"]["text"] for key, item in share.all_items().items() if "data" in item}
    lost = {key for key, text in acknowledged.items() if held.get(key) != text}
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged items lost"


def workers_of(stack: Any) -> list[psutil.Process]:
    """Return the processes in which functions run."""
    return psutil.Process(stack.emulator_pid).children(recursive=True)


def test_killing_functions_mid_publish_loses_no_acknowledged_item(mortal: LocalStack) -> None:
    share = Publisher.create(mortal.url)
    acknowledged: dict[str, str] = {}
    stop = threading.Event()
    writers = [threading.Thread(target=publish, args=(share, f"w{n}", acknowledged, stop)) for n in range(4)]
    for writer in writers:
        writer.start()
    killed = 0
    deadline = time.monotonic() + 180
    while (killed < 6 or len(acknowledged) < 30) and time.monotonic() < deadline:
        before = len(acknowledged)
        while len(acknowledged) < before + 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(random.choice(workers_of(mortal)).pid, signal.SIGKILL)
        killed += 1
    time.sleep(1)
    stop.set()
    for writer in writers:
        writer.join()
    assert killed >= 6
    assert len(acknowledged) >= 24
    assert_nothing_lost(share, acknowledged)


def test_after_a_restart_the_stream_goes_on_and_logs_are_folded(mortal: LocalStack) -> None:
    share = Publisher.create(mortal.url)
    share.must_sync(part("before"))
    time.sleep(2)
    mortal.restart()
    share = Publisher.create(mortal.url, share.session_id)
    share.must_sync(*[part(f"{n}", os.urandom(1000).hex()) for n in range(200)])
    key = {"pk": {"S": share.id}, "sk": {"S": "META"}}

    def row() -> dict[str, Any]:
        return mortal.client("dynamodb").get_item(TableName=mortal.outputs["SharesTableName"], Key=key)["Item"]

    until(lambda: "snapshot" in row())
    assert row()["snapshot"]["M"]["seq"] == {"N": "201"}
    assert len(share.all_items()) == 201


def test_killing_everything_loses_no_acknowledged_item(mortal: LocalStack) -> None:
    share = Publisher.create(mortal.url)
    acknowledged: dict[str, str] = {}
    for cut in range(2):
        stop = threading.Event()
        writers = [threading.Thread(target=publish, args=(share, f"{cut}w{n}", acknowledged, stop)) for n in range(3)]
        for writer in writers:
            writer.start()
        until(lambda target=11 * (cut + 1): len(acknowledged) >= target)
        time.sleep(random.uniform(0, 1))
        mortal.kill()
        stop.set()
        for writer in writers:
            writer.join()
        mortal.restart()
        share.http = httpx.Client(base_url=mortal.url, timeout=60, follow_redirects=True)
        assert_nothing_lost(share, acknowledged)
    assert len(acknowledged) > 20
    again = Publisher.create(mortal.url, share.session_id)
    assert (again.id, again.secret) == (share.id, share.secret)
